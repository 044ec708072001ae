"""The report's example pictures: panels of sheets beside one another, those of methods chosen apart from each other."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from PIL import Image

from cliptrase.drawing.overlay import hex_colour
from cliptrase.report.figures import labelled, letter
from cliptrase.report.load import LoadedRun
from cliptrase.report.markup import Html, element

_SHEETS = 8  # on the whole page, but at least two a setting
_LAST = ("errors", "regions", "patch")  # kinds of panels after predictions


def sheet_parts(runs: Sequence[LoadedRun], setting: str) -> Iterator[Html]:
    """Heading and pictures of one data set; runs that drew the same picture share its place.

    Args:
        runs: of the page.
        setting: the data set's name.
    """
    by_stem: dict[str, dict[int, Mapping[str, Any]]] = {}
    for number, run in enumerate(runs):
        if setting in run.document["settings"]:
            for sheet in _chosen(run, setting, len(runs)):
                by_stem.setdefault(sheet["stem"], {})[number] = sheet
    if by_stem:
        yield element("h3", "Example pictures")
        yield element("div", *(_figure(runs, sheets) for sheets in by_stem.values()), class_="choose sheets")


def _chosen(run: LoadedRun, setting: str, runs: int) -> list[Mapping[str, Any]]:
    """A few of a run's sheets, each picture once."""
    most = max(2, _SHEETS // len(run.document["settings"]) // runs)
    of_setting = {sheet["stem"]: sheet for sheet in run.sheets if sheet["setting"] == setting}.values()
    worst = [sheet for sheet in of_setting if sheet["kind"] == "worst"][: most // 2]
    return [sheet for sheet in of_setting if sheet["kind"] != "worst"][: most - len(worst)] + worst


def _figure(runs: Sequence[LoadedRun], sheets: Mapping[int, Mapping[str, Any]]) -> Html:
    """One picture: its panels, and the names of the classes in them."""
    first = next(iter(sheets.values()))
    kind = "one of the worst" if first["kind"] == "worst" else ""
    score = "" if first["mIoU"] is None else f"mIoU {first['mIoU']:.1f} over its own classes"
    caption = ", ".join(part for part in (first["stem"], score, kind) if part)
    panels = [
        panel for number, sheet in sheets.items() for panel in _panels(runs, number, sheet, number == min(sheets))
    ]
    entries = dict.fromkeys(tuple(entry) for sheet in sheets.values() for entry in sheet.get("legend", ()))
    names = [_swatch(label, name) for label, name in entries if label is not None]
    shown = [element("figcaption", caption), element("div", *panels, class_="panels")]
    return element("figure", *shown, *([element("ul", *names, class_="key")] if names else []), class_="card")


def _panels(runs: Sequence[LoadedRun], number: int, sheet: Mapping[str, Any], first: bool) -> Iterator[Html]:
    """A sheet's panels as pictures of their own; of later runs only what the first does not show."""
    if not sheet.get("panels"):
        yield _panel("sheet", sheet["picture"], f"Picture, truth, predictions and errors of {sheet['stem']}")
        return
    with Image.open(io.BytesIO(sheet["picture"]), formats=["PNG"]) as picture:
        for panel in sheet["panels"]:
            common = panel["kind"] in ("picture", "truth")
            left, top, width, height = panel["box"]
            box = (left, top, min(left + width, picture.width), min(top + height, picture.height))
            if (common and not first) or box[2] <= left or box[3] <= top:
                continue
            buffer = io.BytesIO()
            picture.crop(box).convert("RGB").save(buffer, "PNG")
            title = panel["title"] if common or len(runs) == 1 else f"{letter(number)} {panel['title']}"
            said = ", ".join(filter(None, (title, panel["note"])))
            method = labelled(runs, number, panel["method"]) if panel["kind"] == "prediction" else None
            place = "last" if panel["kind"] in _LAST else ""
            wide = f"width:{box[2] - box[0]}px"  # its own pixels: larger it would be blurred
            yield _panel(said, buffer.getvalue(), f"{said}, of {sheet['stem']}", method, place, wide)


def _panel(
    title: str, encoded: bytes, alt: str, method: str | None = None, place: str = "", style: str | None = None
) -> Html:
    source = "data:image/png;base64," + base64.b64encode(encoded).decode()
    image = element("img", src=source, alt=alt, loading="lazy")
    return element(
        "div", image, element("small", title), class_=f"panel {place}".rstrip(), style=style, data_method=method
    )


def _swatch(label: int, name: str) -> Html:
    """A class with its colour; -1 is what is not scored, which is hatched."""
    style = f"background:{hex_colour(label)}" if label >= 0 else None
    return element("li", element("span", class_="swatch" if label >= 0 else "swatch void", style=style), name)
