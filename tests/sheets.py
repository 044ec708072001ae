"""Tables as a terminal or a file shows them."""

import io

from rich.console import Console
from rich.text import Text

from cliptrase.common.sheets import Sheet, rendered


def printed(*sheets: Sheet, width: int | None, styled: bool = False) -> str:
    """What `print_sheets` writes for a window of a width; None for a file."""
    console = Console(width=width or 100_000, file=io.StringIO(), force_terminal=styled, color_system=None)
    if styled:
        console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system="standard")
    for part in rendered(sheets, width, styled):
        console.print(part, soft_wrap=isinstance(part, Text))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]
