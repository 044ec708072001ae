"""The report's table of scores: every method and setting, with columns for each run."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.conditions import STAND_IN, STAND_IN_TITLE, images_text
from cliptrase.evaluation.formatting import COLUMNS, best_of, format_score, is_best
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.report.load import LoadedRun
from cliptrase.report.markup import Html, element

_REMARK = "remark"  # the column


def score_table(runs: Sequence[LoadedRun]) -> Html:
    """The table of all methods and settings; every run has its columns, with its protocol named above."""
    results = [{(_of_edition(setting, result), method): result for setting, method, result in run.rows} for run in runs]
    groups = [_groups(rows.values()) for rows in results]
    tops, definitions, heads = [element("th")], [element("th")], [element("th", "method", scope="col")]
    for run, columns_of in zip(runs, groups, strict=True):
        name = f"protocol {run.protocol}" if len(runs) == 1 else f"protocol {run.protocol}: {run.name}"
        name += f"; {STAND_IN_TITLE}" if Comparison(run.document).stand_in else ""
        tops.append(element("th", name, class_="group start", colspan=_width(columns_of), scope="colgroup"))
        definitions.append(element("th", class_="start"))
        heads.append(element("th", "pictures", class_="start", scope="col"))
        for group, columns in columns_of.items():
            definitions.append(element("th", group, class_="group start", colspan=len(columns), scope="colgroup"))
            heads += [element("th", column, class_=_start(column, columns), scope="col") for column in columns]
    width = sum(map(_width, groups))
    mains = {next(iter(run.document["methods"]), "") for run in runs}
    bodies = []
    for setting in dict.fromkeys(setting for rows in results for setting, _ in rows):
        title = element("th", setting, scope="rowgroup")
        lines = [element("tr", title, element("td", colspan=width), class_="setting")]
        bests = [_best(rows, setting, group) for rows, group in zip(results, groups, strict=True)]
        for method in dict.fromkeys(method for rows in results for name, method in rows if name == setting):
            cells = [
                cell
                for rows, group, best in zip(results, groups, bests, strict=True)
                for cell in _cells(rows.get((setting, method)), group, best)
            ]
            emphasis = "main" if method in mains else None
            lines.append(element("tr", element("th", method, scope="row"), *cells, class_=emphasis))
        bodies.append(element("tbody", *lines))
    differences = (
        ", below a score its difference from the published one"
        if any(result["published_comparable"] for rows in results for result in rows.values())
        else ""
    )
    table = element(
        "table",
        element("caption", f"percent{differences}"),
        element("thead", element("tr", *tops), element("tr", *definitions), element("tr", *heads)),
        *bodies,
    )
    return element("div", table, class_="scroll", tabindex=0)


def _of_edition(setting: str, result: Mapping[str, Any]) -> str:
    """A data set with the edition of its labels: scores of two editions do not stand in one row."""
    return f"{setting} ({result['edition']})" if result["edition"] else setting


def _groups_of(result: Mapping[str, Any]) -> list[str]:
    """What a result holds scores by: the protocol's definition, published ones, the other definitions."""
    protocols: str = result["definition"]
    others = [name for name in DEFINITIONS if name != protocols]
    return [protocols, *(["published"] if result["published"] else []), *others]


def _scores_of(result: Mapping[str, Any] | None, group: str) -> Mapping[str, float | None]:
    """Scores by column of one definition, or the published ones; empty where there are none."""
    if result is None:
        return {}
    return (result["published"] if group == "published" else result["scores"][group]) or {}


def _groups(results: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Columns of a run: all of the protocol's definition and of the published scores, mIoU alone of the others."""
    shown = list(results)
    named = dict.fromkeys(group for result in shown for group in _groups_of(result))
    of_protocol = next(iter(named))
    known = [column for column in COLUMNS if any((result["published"] or {}).get(column) for result in shown)]
    columns = {of_protocol: list(COLUMNS)} | ({"published": known} if known else {})
    columns |= {group: ["mIoU"] for group in named if group not in (of_protocol, "published")}
    worth = any(result["published"] or set(result["remarks"]) - {STAND_IN} for result in shown if result["remarks"])
    return columns | ({"": [_REMARK]} if worth else {})


def _best(
    rows: Mapping[tuple[str, str], Mapping[str, Any]], setting: str, groups: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str], float | None]:
    """The highest score of a run's methods on a setting, by group and column."""
    places = [(group, column) for group, columns in groups.items() for column in columns if group in DEFINITIONS]
    shown = [result for (name, _), result in rows.items() if name == setting]
    scores = [[_scores_of(result, group).get(column) for group, column in places] for result in shown]
    return dict(zip(places, best_of(scores), strict=True)) if scores else {}


def _width(groups: Mapping[str, Sequence[str]]) -> int:
    return 1 + sum(map(len, groups.values()))


def _cells(
    result: Mapping[str, Any] | None,
    groups: Mapping[str, Sequence[str]],
    best: Mapping[tuple[str, str], float | None],
) -> Iterator[Html]:
    """Cells of one result, empty ones where a run does not have it."""
    yield element("td", "" if result is None else _images(result), class_="start")
    comparable = result is not None and result["published"] and not result["remarks"]
    for place, (group, columns) in enumerate(groups.items()):
        if columns == [_REMARK]:
            yield element("td", "; ".join(result["remarks"]) if result else "", class_="words start remark")
            continue
        scores = _scores_of(result, group)
        wanted = result["published"] if result is not None and comparable and place == 0 else {}
        for column in columns:
            value = scores.get(column)
            shown = format_score(value) if result else ""
            content = [element("strong", shown) if is_best(value, best.get((group, column))) else shown]
            if wanted.get(column) is not None and value is not None:
                difference = value - wanted[column]
                kind = "up" if difference >= 0 else "down"
                content.append(element("small", f"{difference:+.2f}", class_=kind))
            yield element("td", *content, class_=_start(column, columns))


def _images(result: Mapping[str, Any]) -> str:
    """Number of pictures scored, and of how many where that is not all."""
    expected = result["images_expected"] or ()
    return images_text(result["images"], result["images_available"], expected, bool(result["cut"]))


def _start(column: str, columns: Sequence[str]) -> str | None:
    return "start" if column == columns[0] else None
