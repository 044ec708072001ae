"""The report's part on one setting: IoU of each class as a chart, and example sheets."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cliptrase.evaluation.formatting import format_score
from cliptrase.report.load import LoadedRun
from cliptrase.report.markup import Html, element

_MARKS = "●▲◆■▼★✚✖"  # told apart by form, not by colour
_SHEETS = 8  # on the whole page, but at least two a setting
_OPEN = 60  # most classes of a chart that is shown without asking


def setting_parts(runs: Sequence[LoadedRun], setting: str) -> Iterator[Html]:
    """Chart and sheets of one setting, a chart for every run."""
    yield element("h2", setting)
    shown = [run for run in runs if setting in run.document["settings"]]
    yield element("div", *(_chart(run, setting) for run in shown), class_="charts")
    for run in shown:
        most = max(2, _SHEETS // len(run.document["settings"]) // len(runs))
        of_setting = {sheet["stem"]: sheet for sheet in run.sheets if sheet["setting"] == setting}.values()  # each once
        worst = [sheet for sheet in of_setting if sheet["kind"] == "worst"][: most // 2]
        others = [sheet for sheet in of_setting if sheet["kind"] != "worst"][: most - len(worst)]
        if chosen := others + worst:
            named = "Example pictures" if len(runs) == 1 else f"Example pictures of {run.name}"
            yield element("h3", named)
            yield element("div", *map(_sheet, chosen), class_="sheets")


def _chart(run: LoadedRun, setting: str) -> Html:
    """Per-class IoU as bars of the main method, with a mark for each other one."""
    results = {method: result for name, method, result in run.rows if name == setting}
    by_method = {method: result["per_class"] for method, result in results.items()}
    definition = next(iter(results.values()))["definition"]
    main, *others = by_method
    marks = dict(zip(others, _MARKS, strict=False))
    classes = sorted((row for row in by_method[main] if row["pixels"]), key=lambda row: -_iou(row, definition))
    absent = len(by_method[main]) - len(classes)
    key = [element("li", element("span", class_="fill"), main)]
    key += [element("li", f"{mark} {method}") for method, mark in marks.items()]
    bars = []
    for row in classes:
        at = {marks[method]: _iou(by_method[method][row["label"]], definition) for method in marks}
        inner = [element("span", class_="fill", style=f"width:{_iou(row, definition):.2f}%")]
        inner += [element("span", mark, class_="mark", style=f"left:{value:.2f}%") for mark, value in at.items()]
        name, value = (
            element("span", row["name"], class_="name", title=row["name"]),
            format_score(_iou(row, definition)),
        )
        bars.append(
            element("li", name, element("span", *inner, class_="track"), element("span", value, class_="value"))
        )
    chart = element("ol", *bars, class_="bars wide" if len(marks) > 4 else "bars")
    if len(bars) > _OPEN:
        chart = element("details", element("summary", f"{len(bars)} classes"), chart)
    absence = "1 class does" if absent == 1 else f"{absent} classes do"
    note = [element("p", f"{absence} not occur in these pictures.", class_="soft")] if absent else []
    edition = next(iter(results.values()))["edition"]
    words = f"IoU of each class, percent, {definition} definition, protocol {run.protocol}"
    words += f", labels: {edition}" if edition else ""
    heading = element("h3", ", ".join([words, *results[main]["remarks"]]))
    return element("section", heading, element("ul", *key, class_="key"), chart, *note, class_="card")


def _iou(row: Mapping[str, Any], definition: str) -> float:
    """IoU of one class in percent, 0 where it is undefined."""
    return float(row["scores"][definition]["IoU"] or 0)


def _sheet(sheet: Mapping[str, Any]) -> Html:
    kind = "one of the worst" if sheet["kind"] == "worst" else ""
    score = "" if sheet["mIoU"] is None else f"mIoU {sheet['mIoU']:.1f} over its own classes"
    caption = ", ".join(part for part in (sheet["stem"], score, kind) if part)
    source = "data:image/png;base64," + base64.b64encode(sheet["picture"]).decode()
    image = element("img", src=source, alt=f"Picture, truth, predictions and errors: {caption}", loading="lazy")
    scrolled = element("div", image, class_="scroll", tabindex=0)
    return element("figure", element("figcaption", caption), scrolled, class_="card")
