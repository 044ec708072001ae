"""A study's table in a narrow window: nothing is lost, and columns that say one thing make room."""

from cliptrase.evaluation.study_table import Column, StudyTable
from cliptrase.report.terminal import study_sheet
from tests.sheets import printed

COLUMNS = (
    *map(Column, ("setting", "method", "names")),
    Column("mIoU", "score"),
    Column("interval", "interval"),
    Column("difference", "points"),
    Column("its interval", "difference_interval"),
    Column("lost", "score"),
)
ROWS = (
    ("VOC20", "cliptrase-regions", "the run's own", 50.0, (40.0, 60.0), None, None, 0.0),
    ("VOC20", "cliptrase-regions", "only those present", 70.0, (60.0, 80.0), 20.0, (15.0, 25.0), None),
)


def lines_of(study: StudyTable) -> list[str]:
    return printed(study_sheet(study), width=64).splitlines()


def test_intervals_stand_below_their_figures_and_what_all_rows_say_in_the_title() -> None:
    title, *lines = lines_of(StudyTable("names", COLUMNS, ROWS))
    assert title.rstrip() == "names, VOC20, cliptrase-regions"
    text = [" ".join(line.split()) for line in lines if line.strip()]
    assert text[:2] == ["mIoU difference", "names interval its interval lost"]
    assert text[3:] == [
        "the run's own 50.00 - 0.00",
        "40.00 to 60.00",
        "only those present 70.00 +20.00 -",
        "60.00 to 80.00 +15.00 to +25.00",
    ]


def test_a_column_that_tells_rows_apart_stays() -> None:
    rows = [*ROWS, ("PC59", *ROWS[0][1:])]
    title, *lines = lines_of(StudyTable("names", COLUMNS, rows))
    assert title.rstrip() == "names, cliptrase-regions"
    assert sum("VOC20" in line for line in lines) == 2
    assert lines_of(StudyTable("names", COLUMNS, ROWS[:1]))[0].rstrip() == "names"
