"""A bar for work within a batch, beside Lightning's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pytorch_lightning import Trainer
from rich.markup import escape
from tqdm import tqdm


@contextmanager
def windows_bar(trainer: Trainer, name: str, windows: int) -> Iterator[Callable[[int], object]]:
    """A bar while windows of a picture are seen; none where the Trainer shows none, or in other processes.

    Lightning's bar of rich redraws the terminal's last lines, so that another bar is a line of it.

    Args:
        trainer: whose bar it stands beside.
        name: of the picture.
        windows: how many there are.

    Yields:
        what is told how many more were seen.
    """
    own = getattr(trainer, "progress_bar_callback", None)
    if own is None or not trainer.is_global_zero:
        yield lambda seen: None
        return
    rich = getattr(own, "progress", None)
    if rich is None:
        with tqdm(total=windows, desc=name, unit="window", leave=False) as bar:
            yield bar.update
        return
    line = rich.add_task(escape(name), total=windows)

    def advance(seen: int) -> None:
        rich.update(line, advance=seen)
        rich.refresh()

    try:
        yield advance
    finally:
        rich.remove_task(line)
