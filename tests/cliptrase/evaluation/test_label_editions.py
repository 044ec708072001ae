"""Scores of two editions of the labels: no difference between them, no row in common, the edition beside each."""

import csv
import io
import re
from pathlib import Path

import pytest

from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.conditions import Conditions, Extent
from cliptrase.evaluation.published import published_beside, published_systems
from cliptrase.protocols.table import get_protocol
from cliptrase.report.csv_tables import comparison_csv, results_csv
from cliptrase.report.figures import AVERAGE, Beside
from cliptrase.report.load import LoadedRun
from cliptrase.report.page import page
from datamodules.layouts import candidates
from datamodules.spec import DatasetSpec, LabelScheme
from datamodules.specs import DATASETS
from tests.cliptrase.evaluation.test_conditions import OPENAI, all_tables, made

SCHEME = LabelScheme("sclip", void=True)


def held(name: str, layout: str) -> DatasetSpec:
    return candidates(Path("nowhere"), DATASETS[name], layout, SCHEME)[0]


def test_editions_of_published_scores_are_those_of_a_layout() -> None:
    for system in published_systems():
        for name, edition in system.editions.items():
            known = [
                place.edition_text
                for void in (True, False)
                for place in candidates(Path("nowhere"), DATASETS[name], scheme=LabelScheme(void=void))
            ]
            assert edition in known, (system.system, name)
            assert name in system.scores
    beside = published_beside(get_protocol("sclip"), "sclip", "PC60")
    assert beside is not None
    assert (beside.mIoU, beside.edition) == (31.74, "PASCAL in Detail")


@pytest.mark.parametrize(
    ("name", "layout", "remark"),
    [
        ("PC60", "mmseg", ""),
        ("PC60", "detectron2", "labels: .mat files, not PASCAL in Detail"),
        ("VOC21", "mmseg", ""),
        ("VOC21", "detectron2", ""),  # prepared of SegmentationClass with void apart
        ("VOC20", "mmseg", ""),
        ("VOC20", "detectron2", ""),  # of a source that is not known
        ("COCO171", "mmseg", ""),
    ],
)
def test_a_published_score_compares_with_its_own_edition(name: str, layout: str, remark: str) -> None:
    spec = held(name, layout)
    (images, *_) = spec.images_expected
    conditions = Conditions(OPENAI, {name: Extent(images)})
    results, document = made(conditions, [spec], get_protocol("sclip"), 12, "sclip")
    own = document["settings"][name]
    assert own["published"] is not None
    assert (own["remarks"], own["published_comparable"]) == ([remark] if remark else [], not remark)
    assert own["edition"] == spec.edition_text
    for place, text in all_tables(results, document).items():
        assert (remark in text) or not remark, place
    for text in (results_csv(document), comparison_csv(Comparison(document))):
        rows = list(csv.DictReader(io.StringIO(text)))
        assert rows
        assert {row["edition"] for row in rows} == {spec.edition_text}


def test_an_edition_that_is_not_known_is_no_other() -> None:
    for editions in (("", "PASCAL in Detail"), (".mat files", ""), (".mat files", ".mat files")):
        assert Conditions(OPENAI).remarks("PC60", 5104, [5104], True, True, editions=editions) == ()
    told = Conditions(OPENAI).remarks("PC60", 5104, [5104], False, True, editions=("a", "b"))
    assert told == ()  # nothing published stands beside


def test_two_editions_have_rows_of_their_own_in_a_report() -> None:
    runs = []
    for layout in ("mmseg", "detectron2"):
        _, document = made(
            Conditions(OPENAI), [held("PC60", layout), held("COCO171", layout)], get_protocol("sclip"), 12
        )
        runs.append(LoadedRun(layout, document))
    beside = Beside({(1, "COCO171", "sclip"): []})  # counted alike
    html = page(runs, beside)
    titles = re.findall(r'<th scope="rowgroup">([^<]*)</th>', html)
    titles = [title for title in titles if not title.startswith("average")]
    assert titles == ["PC60 (PASCAL in Detail)", "COCO171", "PC60 (.mat files)"]
    assert "Labels: PC60: PASCAL in Detail. Scores of other editions do not compare." in html
    same = page([runs[0], runs[0]], Beside({(1, name, "sclip"): [] for name in ("PC60", "COCO171", AVERAGE)}))
    titles = re.findall(r'<th scope="rowgroup">([^<]*)</th>', same)
    assert [title for title in titles if not title.startswith("average")] == ["PC60 (PASCAL in Detail)", "COCO171"]
