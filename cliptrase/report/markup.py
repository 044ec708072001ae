"""HTML from nested calls: text is escaped unless it is HTML already, so that no name can become markup."""

from html import escape


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


_EMPTY = {"meta", "img"}


def element(tag: str, *content: str, **attributes: str | int | None) -> Html:
    """An element.

    Args:
        tag: its name.
        content: what it holds; plain text is escaped.
        attributes: by name, `_` for `-` and a last `_` dropped (`class_`); None leaves one out.
    """
    listed = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    end = "" if tag in _EMPTY else f"{joined(*content)}</{tag}>"
    return Html(f"<{tag}{listed}>{end}")


def joined(*content: str) -> Html:
    """Pieces one after the other; plain text is escaped."""
    return Html("".join(part if isinstance(part, Html) else escape(part) for part in content))


def table_block(table: Html, name: str) -> Html:
    """A table that scrolls by itself where the page is narrow.

    Args:
        table: a `table` element.
        name: of the file that the page's script offers it as.
    """
    return element("div", element("div", table, class_="scroll", tabindex=0), class_="block", data_name=name)
