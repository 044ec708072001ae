"""Tables on a terminal of 80 columns: no line is longer, no name is cut, no figure is lost."""

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import pytest
import torch
from rich.cells import cell_len

from cliptrase.common.sheets import Sheet
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.domain_lines import DomainLine, DomainTable
from cliptrase.evaluation.intervals import Difference, Estimate, Interval
from cliptrase.evaluation.records import ResultKey, SettingResult
from cliptrase.evaluation.study_table import Column, StudyTable
from cliptrase.methods import METHODS
from cliptrase.report.terminal import comparison_sheet, domain_sheet, long_comparison_sheet, score_sheet, study_sheet
from datamodules.specs import DATASETS
from tests.mess_tree import LAYOUT
from tests.results_documents import run_document, setting_entry
from tests.sheets import printed

SETS = ("VOC20", "VOC21", "PC59", "COCOObject", "PAXRay-Mediastinum", "Kvasir-Instrument", "ADEfull", "Cityscapes")
NUMBER = re.compile(r"[-+]?\d+\.\d\d")
KEY = ResultKey("paper 336", "0", "0", "")
INTERVAL = [-12.34, 100.0]


def results(methods: Sequence[str], settings: Sequence[str], alike: bool) -> dict[str, list[SettingResult]]:
    """With an interval, a published score and remarks each; one more row is predicted of a class that is not there."""
    found: dict[str, list[SettingResult]] = {}
    for number, method in enumerate(methods):
        confusion = torch.tensor([[60, 2, 0 if alike else 1], [1, 10 + number, 0], [0, 0, 0]])
        estimate = Estimate(Interval(-12.34, 100.0), Difference(-1.5, Interval(-12.0, 13.25)))
        remarks = ("other weights: ViT-L-14 laion2b_s32b_b82k", f"2 of {1449 + number} images")
        found[method] = [
            SettingResult.from_confusion(
                *(name, KEY, ("a", "b", "c"), confusion, 40000, (89.68, 91.4, 82.49, 80.95), "released", estimate, "a"),
                remarks=remarks,
            )
            for name in settings
        ]
    return found


def comparison(methods: Sequence[str], settings: Sequence[str]) -> Comparison:
    def intervals(first: bool) -> dict[str, Any]:
        other = {"mIoU": -11.11, "interval": [-12.0, 13.25]}
        return {"mIoU": INTERVAL, "difference_to_first": None if first else other}

    entries = {
        method: {
            name: setting_entry(10.0 + number + 0.01 * place, intervals=intervals(number == 0), published=None)
            for place, name in enumerate(settings)
        }
        for number, method in enumerate(methods)
    }
    averages = {
        method: {"mIoU": 20.0 + number, "intervals": intervals(number == 0)} for number, method in enumerate(methods)
    }
    provenance = {"images_per_second_by_method": dict.fromkeys(methods, 12.0), "peak_memory_mib": 990}
    return Comparison(run_document(entries, provenance, averages if len(settings) > 1 else None))


def mess(methods: Sequence[str]) -> DomainTable:
    scores = {
        name: {"mIoU": value, "CoI-mIoU": 50.0, "sensitivity": 7.0, "specificity": 100.0}
        for name, value in (("mmseg", 31.0), ("released", 32.0), ("detectron2", 32.0))
    }
    lines = [
        DomainLine("figure", name, name, "General", method, 1000, "1000 / 1200", scores, INTERVAL, None, None, 1, 1)
        for name in LAYOUT
        for method in methods
    ]
    mean = [
        DomainLine(
            "mean",
            "MESS",
            "Medical Sciences, mean of 22 of 24",
            "",
            method,
            None,
            "",
            scores,
            INTERVAL,
            1.0,
            INTERVAL,
            22,
            22,
        )
        for method in methods
    ]
    return DomainTable("MESS", "MESS", "mmseg", ("released", "detectron2"), ["a note"], [lines, mean], len(methods) > 1)


def study(methods: Sequence[str]) -> StudyTable:
    columns = [Column("setting"), Column("method"), Column("constants"), Column("mIoU", "score")]
    columns += [Column("difference", "points"), Column("95 % interval", "difference_interval")]
    rows = [
        [name, method, f"eps {eps}, min_samples {least}, threshold 0.{least}", 51.2, -3.21, INTERVAL]
        for name in SETS[:3]
        for method in methods
        for eps, least in itertools.product((0.5, 0.7), (3, 4))
    ]
    return StudyTable(
        "Constants tried on half of the pictures, mIoU on the other half, percent", columns, rows, ["low"]
    )


LONG = ("cliptrase-regions", "resclip+pamr+min_samples=3+attention_weight=0.25", "my_package.my_methods.MyOwnMethod")
NAMES = ([*METHODS][:1], [*METHODS][:4], [*METHODS], [*LONG])


def sheets() -> Iterator[tuple[str, list[Sheet]]]:
    for methods, count in itertools.product(NAMES, (1, 2, 8)):
        about = f"{len(methods)} {methods[-1]} {count}"
        compared = comparison(methods, SETS[:count])
        for alike in (True, False) if count == 2 else (False,):
            yield f"scores {about} {alike}", [score_sheet(results(methods, SETS[:count], alike), "paper 336", ["n"])]
        yield f"comparison {about}", [comparison_sheet(compared), long_comparison_sheet(compared)]
    for methods in NAMES:
        yield f"domains {len(methods)} {methods[-1]}", [domain_sheet(mess(methods))]
        yield f"study {len(methods)} {methods[-1]}", [study_sheet(study(methods))]


SHEETS = dict(sheets())


@cache
def shown(about: str, width: int | None, styled: bool = False) -> str:
    return printed(*SHEETS[about], width=width, styled=styled)


@pytest.mark.parametrize("styled", [False, True])
@pytest.mark.parametrize("about", SHEETS)
def test_a_table_fits_80_columns(about: str, styled: bool) -> None:
    text = shown(about, 80, styled)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert "…" not in text


@pytest.mark.parametrize("about", SHEETS)
def test_no_figure_is_lost(about: str) -> None:
    """Those that columns share stand once in each row, so the narrow form may hold fewer, none of them other."""
    wide, narrow = (shown(about, width) for width in (None, 80))
    assert set(NUMBER.findall(wide)) == set(NUMBER.findall(narrow))


@pytest.mark.parametrize("about", [about for about in SHEETS if LONG[-1] not in about])
def test_names_stand_whole(about: str) -> None:
    words = set(shown(about, 80).replace(",", " ").split())
    keys = [place for place, column in enumerate(SHEETS[about][-1].columns) if column.kind == "key"]
    for row in SHEETS[about][-1].rows:
        for place in keys:
            assert {*row[place].text.replace(",", " ").split()} <= words, row[place].text


def test_every_data_set_has_a_name_that_fits() -> None:
    text = printed(score_sheet(results([*METHODS][:2], [*DATASETS], False), "paper 336"), width=80)
    assert all(re.search(rf"\s{re.escape(name)}\s", text) for name in DATASETS)
