"""Colours as people write them."""

import re
from collections.abc import Sequence
from typing import Any

Colour = tuple[int, int, int]  # red, green and blue, 0..255

_HEX = re.compile(r"(?:#|0x)([0-9a-fA-F]{6})")
_CHANNELS = re.compile(r"[\[(]?\s*(\d{1,3})(?:\s*[,;]\s*|\s+)(\d{1,3})(?:\s*[,;]\s*|\s+)(\d{1,3})\s*[\])]?")


def colour_of(value: Any) -> Colour:
    """A colour of a text such as `#ff8000` or `255, 128, 0`, or of three numbers.

    Raises:
        ValueError: it is none; the message says why.

    >>> colour_of("#ff8000"), colour_of("255 128 0"), colour_of(["255", 128, 0])
    ((255, 128, 0), (255, 128, 0), (255, 128, 0))
    """
    text = value.strip() if isinstance(value, str) else ""
    if match := _HEX.fullmatch(text):
        red, green, blue = bytes.fromhex(match[1])
        return red, green, blue
    if match := _CHANNELS.fullmatch(text):
        value = list(match.groups())
    if not _is_three(value):
        raise ValueError(f"{_shown(value)} is no colour")
    red, green, blue = (int(channel) for channel in value)
    if not all(0 <= channel <= 255 for channel in (red, green, blue)):
        raise ValueError(f"{_shown([red, green, blue])} is no colour, for its numbers are not in 0..255")
    return red, green, blue


def colours_of(value: Any) -> tuple[Colour, ...]:
    """The colours of one name: one as `colour_of` reads it, or a list of such.

    Raises:
        ValueError: there is none, or one is none.

    >>> colours_of([[255, 0, 0], "#0000ff"])
    ((255, 0, 0), (0, 0, 255))
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or _is_three(value):
        return (colour_of(value),)
    if not value:
        raise ValueError("no colour is given")
    return tuple(colour_of(item) for item in value)


def _is_three(value: Any) -> bool:
    """Whether a value is three whole numbers."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) == 3
        and all(not isinstance(part, bool) and re.fullmatch(r"-?\d{1,9}", str(part).strip()) for part in value)
    )


def _shown(value: Any) -> str:
    text = f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
