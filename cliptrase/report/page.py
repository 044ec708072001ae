"""The HTML of a report: one page that needs no network, for one run or several side by side."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.conditions import STAND_IN, STAND_IN_TITLE, images_text
from cliptrase.evaluation.results import COLUMNS, best_of, figure, is_best
from cliptrase.report.comparison import comparison_parts, elsewhere_parts
from cliptrase.report.markup import Html, element, joined

_MARKS = "●▲◆■▼★✚✖"  # told apart by form, not by colour
_SHEETS = 8  # on the whole page, but at least two a setting
_REMARK = "remark"  # the column
_OPEN = 60  # most classes of a chart that is shown without asking
_NOTHING_FETCHED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_DEFINITIONS = (
    "Released definitions are those of CLIPtrase's published figures: 0.01 pixels are added to each denominator, and "
    "mAcc is over all classes, an absent one counting 0. detectron2's figures add nothing and leave absent "
    "classes out; mmseg's let a class that is predicted and absent count 0 in mIoU. The protocol's own come first. "
    "Published figures are of CLIP ViT-B/16 with OpenAI's weights; a difference to them stands only where model, names "
    "and pictures are theirs, else the row remarks what is not. Bold is the best of several methods on a setting; the "
    "main method has a bar at its side."
)


@dataclass(frozen=True)
class Run:
    """What the page shows of one run.

    Attributes:
        name: of its folder.
        document: content of `results.json`.
        sheets: of its pictures: `setting`, `kind`, `stem`, `mIoU` and the `picture` as PNG.
    """

    name: str
    document: Mapping[str, Any]
    sheets: Sequence[Mapping[str, Any]] = ()

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How the figures were made."""
        found: Mapping[str, Any] = self.document.get("provenance") or {}
        return found

    @property
    def protocol(self) -> str:
        """The protocol's name."""
        return str((self.provenance.get("protocol") or {}).get("label", "of an unknown protocol"))

    @property
    def rows(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Setting, method and result, settings together, the main method first."""
        for setting in self.document["settings"]:
            for method, part in self.document["methods"].items():
                if setting in part["settings"]:
                    yield setting, method, part["settings"][setting]


def page(runs: Sequence[Run]) -> str:
    """The page of one run, or of several side by side.

    Args:
        runs: at least one.
    """
    title = f"cliptrase: {runs[0].name}" if len(runs) == 1 else f"cliptrase: {len(runs)} runs side by side"
    settings = list(dict.fromkeys(setting for run in runs for setting in run.document["settings"]))
    protocols = {str(run.provenance.get("protocol")) for run in runs}
    note = f"Protocol {runs[0].protocol}." if len(protocols) == 1 else "Figures of different protocols do not compare."
    dates = [f"{run.provenance['date']}"[:10] for run in runs if "date" in run.provenance]
    note += f" Made on {', '.join(dict.fromkeys(dates))}." if dates else ""
    models = [run.provenance["model"] for run in runs if run.provenance.get("model")]
    names = [" ".join(filter(None, (model["clip"], model["pretrained"]))) for model in models]
    note += f" CLIP: {', '.join(dict.fromkeys(names))}." if names else ""
    body = [
        element("h1", title),
        element("p", note, class_="soft"),
        element("h2", "Scores"),
        scores(runs),
        *_notes(runs),
        element("p", _DEFINITIONS, class_="soft"),
        *_comparisons(runs),
        *(part for setting in settings for part in _setting(runs, setting)),
        *elsewhere_parts([run.document for run in runs]),
        element("h2", "How the figures were made"),
        element("div", *map(_provenance, runs), class_="charts"),
    ]
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_NOTHING_FETCHED),
        element("title", title),
        element("style", Html((Path(__file__).parent / "report.css").read_text())),
    ]
    return "<!doctype html>\n" + element("html", element("head", *head), element("body", *body), lang="en") + "\n"


def _notes(runs: Sequence[Run]) -> Iterator[Html]:
    """What is to be said of each run below its figures."""
    for run in runs:
        if notes := Comparison(run.document).notes:
            named = [] if len(runs) == 1 else [f"{run.name}: "]
            yield element("p", *named, " ".join(notes), class_="notes")


def _comparisons(runs: Sequence[Run]) -> Iterator[Html]:
    """The comparison of methods of every run that has several."""
    for run in runs:
        if parts := list(comparison_parts(run.document)):
            yield element("h2", "Comparison of methods" if len(runs) == 1 else f"Comparison of methods, {run.name}")
            yield from parts


def scores(runs: Sequence[Run]) -> Html:
    """The table of all methods and settings; every run has columns of its own, its protocol named above them."""
    results = [{(setting, method): result for setting, method, result in run.rows} for run in runs]
    groups = [_groups(rows.values()) for rows in results]
    tops, definitions, heads = [element("th")], [element("th")], [element("th", "method", scope="col")]
    for run, own in zip(runs, groups, strict=True):
        name = f"protocol {run.protocol}" if len(runs) == 1 else f"protocol {run.protocol}: {run.name}"
        name += f"; {STAND_IN_TITLE}" if Comparison(run.document).stand_in else ""
        tops.append(element("th", name, class_="group start", colspan=_width(own), scope="colgroup"))
        definitions.append(element("th", class_="start"))
        heads.append(element("th", "pictures", class_="start", scope="col"))
        for group, columns in own.items():
            definitions.append(element("th", group, class_="group start", colspan=len(columns), scope="colgroup"))
            heads += [element("th", column, class_=_start(column, columns), scope="col") for column in columns]
    width = sum(map(_width, groups))
    mains = {next(iter(run.document["methods"]), "") for run in runs}
    bodies = []
    for setting in dict.fromkeys(setting for rows in results for setting, _ in rows):
        title = element("th", setting, scope="rowgroup")
        lines = [element("tr", title, element("td", colspan=width), class_="setting")]
        bests = [_best(rows, setting, own) for rows, own in zip(results, groups, strict=True)]
        for method in dict.fromkeys(method for rows in results for name, method in rows if name == setting):
            found = zip(results, groups, bests, strict=True)
            cells = [cell for rows, own, best in found for cell in _cells(rows.get((setting, method)), own, best)]
            emphasis = "main" if method in mains else None
            lines.append(element("tr", element("th", method, scope="row"), *cells, class_=emphasis))
        bodies.append(element("tbody", *lines))
    differences = (
        ", below a figure its difference from the published one"
        if any(result.get("published_comparable") for rows in results for result in rows.values())
        else ""
    )
    table = element(
        "table",
        element("caption", f"percent{differences}"),
        element("thead", element("tr", *tops), element("tr", *definitions), element("tr", *heads)),
        *bodies,
    )
    return element("div", table, class_="scroll", tabindex=0)


def groups_of(result: Mapping[str, Any]) -> list[str]:
    """What a result holds figures by: the protocol's own definition, published ones, the other definitions."""
    own = result.get("definition", "released")
    others = [name for name in ("released", "detectron2", "mmseg") if name != own and figures_of(result, name)]
    return [own, *(["published"] if result["published"] else []), *others]


def figures_of(result: Mapping[str, Any], group: str) -> Mapping[str, float | None]:
    """Figures by column of one definition, or the published ones; empty where a result has none."""
    return result.get("scores" if group == "released" else group) or {}


def _groups(results: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Columns of a run by definition: all of the protocol's own and the published ones, mIoU alone of the others."""
    shown = list(results)
    named = dict.fromkeys(group for result in shown for group in groups_of(result))
    own = next(iter(named), "released")
    known = [column for column in COLUMNS if any((result["published"] or {}).get(column) for result in shown)]
    columns = {own: list(COLUMNS)} | ({"published": known} if known else {})
    columns |= {group: ["mIoU"] for group in named if group not in (own, "published")}
    worth = any(result["published"] or set(remarks_of(result)) - {STAND_IN} for result in shown if remarks_of(result))
    return columns | ({"": [_REMARK]} if worth else {})


def remarks_of(result: Mapping[str, Any]) -> Sequence[str]:
    """What is not as it was for published figures; an older result does not say."""
    if "published_comparable" not in result:
        return ["conditions not recorded"] if result["published"] else []
    found: Sequence[str] = result["remarks"]
    return found


def _best(
    rows: Mapping[tuple[str, str], Mapping[str, Any]], setting: str, groups: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str], float | None]:
    """The highest figure of a run's methods on a setting, by group and column."""
    places = [(group, column) for group, columns in groups.items() for column in columns if group != "published"]
    own = [result for (name, _), result in rows.items() if name == setting]
    figures = [[figures_of(result, group).get(column) for group, column in places] for result in own]
    return dict(zip(places, best_of(figures), strict=True)) if figures else {}


def _width(groups: Mapping[str, Sequence[str]]) -> int:
    return 1 + sum(map(len, groups.values()))


def _cells(
    result: Mapping[str, Any] | None,
    groups: Mapping[str, Sequence[str]],
    best: Mapping[tuple[str, str], float | None],
) -> Iterator[Html]:
    """Cells of one result, empty ones where a run does not have it."""
    yield element("td", "" if result is None else _images(result), class_="start")
    comparable = result is not None and result["published"] and not remarks_of(result)
    for place, (group, columns) in enumerate(groups.items()):
        if columns == [_REMARK]:
            yield element("td", "; ".join(remarks_of(result)) if result else "", class_="words start remark")
            continue
        figures = figures_of(result or {}, group)
        wanted = result["published"] if result is not None and comparable and place == 0 else {}
        for column in columns:
            value = figures.get(column)
            shown = figure(value) if result else ""
            content = [element("strong", shown) if is_best(value, best.get((group, column))) else shown]
            if wanted.get(column) is not None and value is not None:
                difference = value - wanted[column]
                kind = "up" if difference >= 0 else "down"
                content.append(element("small", f"{difference:+.2f}", class_=kind))
            yield element("td", *content, class_=_start(column, columns))


def _images(result: Mapping[str, Any]) -> str:
    """Number of pictures scored, and of how many where that is not all."""
    images, expected = result["images"], result.get("images_expected") or ()
    return images_text(images, result.get("images_found", images), expected, bool(result.get("cut")))


def _start(column: str, columns: Sequence[str]) -> str | None:
    return "start" if column == columns[0] else None


def _setting(runs: Sequence[Run], setting: str) -> Iterator[Html]:
    """Chart and sheets of one setting, a chart for every run."""
    yield element("h2", setting)
    shown = [run for run in runs if setting in run.document["settings"]]
    yield element("div", *(_chart(run, setting) for run in shown), class_="charts")
    for run in shown:
        most = max(2, _SHEETS // len(run.document["settings"]) // len(runs))
        own = {sheet["stem"]: sheet for sheet in run.sheets if sheet["setting"] == setting}.values()  # each once
        worst = [sheet for sheet in own if sheet["kind"] == "worst"][: most // 2]
        others = [sheet for sheet in own if sheet["kind"] != "worst"][: most - len(worst)]
        if chosen := others + worst:
            named = "Example pictures" if len(runs) == 1 else f"Example pictures of {run.name}"
            yield element("h3", named)
            yield element("div", *map(_sheet, chosen), class_="sheets")


def _chart(run: Run, setting: str) -> Html:
    """Per-class IoU as bars of the main method, with a mark for each other one."""
    results = {method: result for name, method, result in run.rows if name == setting}
    by_method = {method: result["per_class"] for method, result in results.items()}
    definition = next(iter(results.values())).get("definition", "released")
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
        name, value = element("span", row["name"], class_="name", title=row["name"]), figure(_iou(row, definition))
        bars.append(
            element("li", name, element("span", *inner, class_="track"), element("span", value, class_="value"))
        )
    chart = element("ol", *bars, class_="bars wide" if len(marks) > 4 else "bars")
    if len(bars) > _OPEN:
        chart = element("details", element("summary", f"{len(bars)} classes"), chart)
    absence = "1 class does" if absent == 1 else f"{absent} classes do"
    note = [element("p", f"{absence} not occur in these pictures.", class_="soft")] if absent else []
    words = f"IoU of each class, percent, {definition} definition, protocol {run.protocol}"
    remarks = remarks_of(results[main]) if "published_comparable" in results[main] else []
    heading = element("h3", ", ".join([words, *remarks]))
    return element("section", heading, element("ul", *key, class_="key"), chart, *note, class_="card")


def _iou(row: Mapping[str, Any], definition: str) -> float:
    """Of one class in percent; mmseg's is detectron2's."""
    return float((row if definition == "released" else row["detectron2"])["IoU"] or 0)


def _sheet(sheet: Mapping[str, Any]) -> Html:
    kind = "one of the worst" if sheet["kind"] == "worst" else ""
    score = "" if sheet["mIoU"] is None else f"mIoU {sheet['mIoU']:.1f} over its own classes"
    caption = ", ".join(part for part in (sheet["stem"], score, kind) if part)
    source = "data:image/png;base64," + base64.b64encode(sheet["picture"]).decode()
    image = element("img", src=source, alt=f"Picture, truth, predictions and errors: {caption}", loading="lazy")
    scrolled = element("div", image, class_="scroll", tabindex=0)
    return element("figure", element("figcaption", caption), scrolled, class_="card")


def _provenance(run: Run) -> Html:
    return element("section", element("h3", run.name), _listed(run.provenance), class_="card")


def _listed(value: Any) -> Html:
    """Nested provenance as a list of terms."""
    if isinstance(value, Mapping):
        pairs = (joined(element("dt", str(key)), element("dd", _listed(part))) for key, part in value.items())
        return element("dl", *pairs)
    if isinstance(value, list):
        return joined(", ".join(map(str, value)))
    return joined("-" if value is None else str(value))
