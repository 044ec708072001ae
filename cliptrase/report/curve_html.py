"""Curves of a study's table, drawn into the page itself so that they follow its colours, light or dark."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from cliptrase.evaluation.formatting import format_score
from cliptrase.evaluation.study_table import StudyTable
from cliptrase.report.markup import Html, element, joined

_MARKS = "●▲◆■▼★✚✖"  # told apart by form, not by colour alone
_COLOURS = 6  # that report.css has
_WIDTH, _HEIGHT = 640, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 16, 14, 40
_APART = 7  # pixels between the points of two lines at one place


class _Point(NamedTuple):
    place: int
    value: float
    interval: Sequence[float] | None


def curve_parts(table: StudyTable) -> Iterator[Html]:
    """A chart for each different text of the first column, with a line for each of the columns between.

    Args:
        table: one whose `chart` is `curve`.
    """
    kinds = [column.kind for column in table.columns]
    name = max(place for place, kind in enumerate(kinds) if kind == "text")
    if not {"score", "interval"} <= set(kinds) or name < 1:
        return
    value, interval = kinds.index("score"), kinds.index("interval")
    places: dict[str, int] = {}
    charts: dict[str, dict[str, list[_Point]]] = {}
    for row in table.rows:
        chart, *line = map(str, row[:name])
        place = places.setdefault(str(row[name]), len(places))
        of_line = charts.setdefault(chart, {}).setdefault(", ".join(line), [])
        score, bounds = row[value], row[interval]
        if isinstance(score, int | float):
            of_line.append(_Point(place, score, None if isinstance(bounds, str | int | float) else bounds))
    drawn = [_chart(chart, lines, list(places), table.columns[value].name) for chart, lines in charts.items()]
    yield element("div", *drawn, class_="charts")


def _chart(title: str, lines: Mapping[str, Sequence[_Point]], places: Sequence[str], unit: str) -> Html:
    points = [point for of_line in lines.values() for point in of_line]
    highest = max([point.value for point in points] + [point.interval[1] for point in points if point.interval] + [0])
    top = min(100, 10 * (int(highest) // 10 + 1))
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at_x(place: float) -> float:
        return round(_LEFT + across * (place + 0.5) / len(places), 1)

    def at_y(value: float) -> float:
        return round(_TOP + down * (1 - value / top), 1)

    parts = []
    for value in range(0, top + 1, 10 if top <= 50 else 20):
        y = str(at_y(value))
        parts.append(element("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(element("text", f"{value}", x=_LEFT - 6, y=y, dy="0.35em", text_anchor="end"))
    for number, name in enumerate(places):
        parts.append(element("text", name, x=str(at_x(number)), y=_HEIGHT - 14, text_anchor="middle"))
    for number, of_line in enumerate(lines.values()):
        aside = _APART * (number - (len(lines) - 1) / 2)
        spots = [(at_x(point.place) + aside, at_y(point.value)) for point in of_line]
        marks = [element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in spots))]
        for point, spot in zip(of_line, spots, strict=True):
            x, y = (f"{value:.1f}" for value in spot)
            if point.interval:
                low, high = map(at_y, point.interval)
                marks.append(element("line", x1=x, x2=x, y1=str(low), y2=str(high)))
            marks.append(element("text", _mark(number), x=x, y=y, dy="0.35em", text_anchor="middle"))
        parts.append(element("g", *marks, class_=f"line c{number % _COLOURS}"))
    said = "; ".join(f"{name}: {_said(of_line, places)}" for name, of_line in lines.items())
    box = f"0 0 {_WIDTH} {_HEIGHT}"
    picture = element("svg", *parts, viewBox=box, role="img", aria_label=f"{unit} on {title}. {said}", class_="curve")
    key = [
        element("li", element("span", _mark(number), class_=f"c{number % _COLOURS}"), f" {name}")
        for number, name in enumerate(lines)
    ]
    heading = element("h3", joined(f"{unit}, percent, with 95 % intervals, ", title))
    return element("section", heading, element("ul", *key, class_="key"), picture, class_="card")


def _mark(number: int) -> str:
    return _MARKS[number % len(_MARKS)]


def _said(points: Sequence[_Point], places: Sequence[str]) -> str:
    return ", ".join(f"{places[point.place]} {format_score(point.value)}" for point in points)
