"""What the page computes at most: pixels of a picture, seconds of an answer."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

from cliptrase.common.errors import InputError

PIXELS = 4096 * 4096
"""The largest picture; larger ones are worked on by tiles, which nobody waits for before a page."""
SECONDS = 120.0
"""How long one answer may take."""
MEGABYTES = 64
"""How large a file the page takes."""


def require_size(height: int, width: int) -> None:
    """Refuses a picture that is too large for the page.

    Raises:
        InputError: too many pixels.
    """
    if height * width > PIXELS:
        raise InputError(
            f"the picture has {width} x {height} pixels, and this page takes {PIXELS / 1e6:.1f} million at most; "
            "make it smaller, or give it to the command predict"
        )


class Deadline(TorchFunctionMode):
    """Ends what torch computes in this thread within the `with` when time is up, or the page ends.

    Args:
        seconds: from now on.
        clock: what gives seconds.
        stopping: set where the page ends.
    """

    def __init__(
        self,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
        stopping: threading.Event | None = None,
    ) -> None:
        super().__init__()
        self._seconds, self._clock, self._stopping = seconds, clock, stopping
        self._end = clock() + seconds

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Looks at the clock before each function of torch.

        Raises:
            InputError: time is up, or the page ends.
        """
        if self._stopping is not None and self._stopping.is_set():
            raise InputError("the page ends, and this answer was given up")
        if self._clock() > self._end:
            raise InputError(
                f"the answer took more than {self._seconds:g} seconds and was given up; take a smaller picture, fewer "
                "words or another method"
            )
        return func(*args, **(kwargs or {}))
