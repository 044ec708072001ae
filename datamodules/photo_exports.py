"""Which forms of label maps for other tools there are; runs write them."""

from collections.abc import Sequence

from datamodules.errors import DataError

EXPORTS = ("coco", "words", "polygons")


def chosen_exports(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """The forms that are asked for, each once, in the order above.

    Args:
        given: one, several with commas between them, or a list; None and nothing ask for none.

    Raises:
        DataError: there is no such form.
    """
    texts = [given] if isinstance(given, str) else given or ()
    names = [name.strip() for text in texts for name in str(text).split(",") if name.strip()]
    if unknown := [name for name in names if name.lower() not in EXPORTS]:
        raise DataError(
            f"--data.export {unknown[0]!r} is no form of label maps; take one or several of {', '.join(EXPORTS)}"
        )
    return tuple(name for name in EXPORTS if name in map(str.lower, names))
