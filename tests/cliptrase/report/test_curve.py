"""Curves of a study's table: what is drawn, what is said of it, and what of another's document is refused."""

import re
from typing import Any

import pytest

from cliptrase.evaluation.study_table import Column, StudyTable
from cliptrase.report.checks import ShapeError, check_results
from cliptrase.report.load import LoadedRun
from cliptrase.report.page import page
from tests.cliptrase.report.test_report import document

COLUMNS = (
    Column("setting"),
    Column("method"),
    Column("names"),
    Column("mIoU", "score"),
    Column("interval", "interval"),
)
ROWS: list[list[Any]] = [
    ["VOC20", "one", "own", 60.0, (50.0, 70.0)],
    ["VOC20", "one", "10 more", 30.0, None],
    ["VOC20", "<two>", "own", 20.0, (15.0, 25.0)],
    ["VOC20", "<two>", "10 more", None, None],
]
TABLE = StudyTable("names", COLUMNS, ROWS, (), "curve")


def drawn(table: StudyTable) -> str:
    results = document() | {"studies": {"names": {"tables": [table.document()]}}}
    check_results(results)
    return page([LoadedRun("run", results)])


def test_points_lie_where_their_scores_are_and_the_picture_is_told_in_words() -> None:
    html = drawn(TABLE)
    assert 'aria-label="mIoU on VOC20. one: own 60.00, 10 more 30.00; &lt;two&gt;: own 20.00"' in html
    assert "<two>" not in html
    one, two = re.findall(r'<g class="line c\d">(.*?)</g>', html)
    (points,) = re.findall(r'points="([^"]+)"', one)
    spots = [tuple(map(float, spot.split(","))) for spot in points.split()]
    down = 280 - 14 - 40  # pixels of the axis, which ends at 80
    assert [y for _, y in spots] == pytest.approx([14 + down * (1 - value / 80) for value in (60, 30)], abs=0.1)
    assert spots[0][0] < spots[1][0]
    bars = re.findall(r'<line x1="([\d.]+)" x2="\1" y1="([\d.]+)" y2="([\d.]+)">', one)
    assert [tuple(map(float, bar)) for bar in bars] == [
        pytest.approx((spots[0][0], 14 + down * (1 - 50 / 80), 14 + down * (1 - 70 / 80)), abs=0.1)
    ]
    assert len(re.findall(r'points="([^" ]+)"', two)) == 1  # one point: what is None is not drawn
    assert html.count('class="c0"') == html.count('class="c1"') == 1  # the key


def test_a_table_without_a_curve_is_a_table() -> None:
    assert "<svg" not in drawn(StudyTable("names", COLUMNS, ROWS))


@pytest.mark.parametrize("left_out", ["score", "interval"])
def test_columns_that_a_curve_takes_may_be_missing(left_out: str) -> None:
    """In another's document: then there is the table alone."""
    kept = [place for place, column in enumerate(COLUMNS) if column.kind != left_out]
    rows = [[row[place] for place in kept] for row in ROWS]
    assert "<svg" not in drawn(StudyTable("names", [COLUMNS[place] for place in kept], rows, (), "curve"))


def test_a_chart_that_there_is_not_is_refused() -> None:
    table = TABLE.document() | {"chart": "pie"}
    with pytest.raises(ShapeError, match="has a chart that is none of stacked, curve"):
        check_results(document() | {"studies": {"names": {"tables": [table]}}})
