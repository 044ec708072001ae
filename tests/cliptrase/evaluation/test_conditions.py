"""What rows and tables say where figures were not made as published ones were."""

import csv
import io
import itertools
import math
import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from cliptrase.common.sheets import Sheet
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.conditions import Conditions, Extent, Guest, Model, count_remark, extent, images_text
from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.document import results_document
from cliptrase.evaluation.formatting import format_interval
from cliptrase.evaluation.intervals import simulated_coverage
from cliptrase.evaluation.notes import notes
from cliptrase.evaluation.records import SettingResult
from cliptrase.evaluation.scoreboard import Scoreboard
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.protocols.table import notes as protocol_notes
from cliptrase.report.csv_tables import comparison_csv, results_csv
from cliptrase.report.load import LoadedRun
from cliptrase.report.markdown import comparison_markdown, markdown_scores
from cliptrase.report.page import page
from cliptrase.report.terminal import comparison_sheet, long_comparison_sheet, score_sheet
from datamodules import COCO171, PC59, VOC20, VOC21
from datamodules.dataset import UnpaddedDistributedSampler
from datamodules.spec import DatasetSpec, LabelScheme
from tests.results_documents import run_document, setting_entry
from tests.sheets import printed

OPENAI = Model("ViT-B-16", "openai", "quick_gelu")
DINO = "vit_base_patch8_224.dino"
PAPER = get_protocol("paper", size=336)


@pytest.mark.parametrize(
    ("model", "remark"),
    [
        (OPENAI, ""),
        (Model("ViT-B/16", "openai", "quick_gelu"), ""),
        (Model("ViT-B-16-quickgelu", "openai", "quick_gelu"), ""),
        (Model("ViT-B-16", "openai", "gelu"), "gelu, not quick_gelu"),
        (Model("ViT-L-14", "openai", "quick_gelu"), "other weights: ViT-L-14 openai"),
        (Model("ViT-B-16", "laion2b_s34b_b88k", "gelu"), "other weights: ViT-B-16 laion2b_s34b_b88k"),
        (Model("ViT-B-16", "some/where/b.pt", "quick_gelu"), "other weights: ViT-B-16 b.pt"),
        (Model("local-dir:some/where/tiny", None, "gelu"), "weights of its own: local-dir tiny"),
        (Model("hf-hub:owner/name", None, "gelu"), "weights of its own: hf-hub name"),
        (Model("embedded", None, "gelu"), "embedded model"),
    ],
)
def test_only_openais_vit_b_16_is_the_published_model(model: Model, remark: str) -> None:
    assert model.remark == remark
    found = Conditions(model).remarks("VOC20", 1449, [1449], beside=True, own_names=True)
    assert found == ((remark,) if remark else ())
    alone = Conditions(model).remarks("VOC20", 1449, [1449], beside=False, own_names=False)
    assert alone == (("embedded model",) if remark == "embedded model" else ())


@pytest.mark.parametrize(
    ("images", "pictures", "expected", "remark", "shown"),
    [
        (5000, 5000, [5000], "", "5000"),
        (4997, 5000, [5000], "", "4997"),  # three without a label to score
        (5104, 5104, [5105, 5104], "", "5104"),
        (5105, 5105, [5105, 5104], "", "5105"),
        (2, 2, [5000], "2 of 5000 images", "2 of 5000"),
        (2, 3, [5000], "2 of 5000 images", "2 of 5000"),
        (5103, 5103, [5105, 5104], "5103 of 5105 images", "5103 of 5105"),
        (5003, 5003, [5000], "5003 images, not 5000", "5003, not 5000"),
        (200, 200, [], "", "200"),
    ],
)
def test_pictures_of_the_published_set(
    images: int, pictures: int, expected: list[int], remark: str, shown: str
) -> None:
    assert count_remark(images, pictures, expected) == remark
    assert images_text(images, pictures, expected, cut=False) == shown


def test_a_set_that_nobody_counted_says_of_how_many_a_cut_run_is() -> None:
    assert images_text(8, 200, [], cut=True) == "8 of 200"
    assert images_text(16, 5000, [5000], cut=True) == "16 of 5000"


@given(
    st.integers(1, 40),
    st.integers(1, 5),
    st.integers(1, 4),
    st.one_of(st.integers(1, 50), st.floats(0.01, 1.0)),
)
def test_a_run_is_cut_where_a_process_leaves_a_batch_out(
    pictures: int, batch_size: int, processes: int, limit: int | float
) -> None:
    dataset: Any = range(pictures)
    lengths = [
        len(DataLoader(dataset, batch_size, sampler=UnpaddedDistributedSampler(dataset, processes, r)))
        for r in range(processes)
    ]
    seen = [limit if isinstance(limit, int) else int(length * limit) for length in lengths]
    cut = any(own < length for own, length in zip(seen, lengths, strict=True))
    found = extent(pictures, batch_size, processes, limit)
    assert found.pictures == pictures
    if isinstance(limit, int) or processes == 1:
        assert bool(found.cut) == cut
    elif bool(found.cut) != cut:
        raise AssertionError((lengths, seen, found))


def test_words_of_a_cut_run() -> None:
    assert extent(10, 2, 1, 1).cut == "first batch only"
    assert extent(10, 2, 1, 3).cut == "first 3 batches only"
    assert extent(10, 1, 2, 0.5).cut == "first 2 batches of each process only"
    assert extent(10, 2, 1, 5) == extent(10, 2, 1, 1.0) == Extent(10)


def board(specs: list[DatasetSpec], methods: list[str], protocol: EvaluationProtocol, images: int = 2) -> Scoreboard:
    """Every method has the same counts on each setting, the later methods a few hits less."""
    found = Scoreboard(methods, protocol)
    for spec in specs:
        size = spec.vocabulary.num_labels
        counts = {}
        for number, method in enumerate(methods):
            hits = torch.zeros(images, size, dtype=torch.int32)
            hits[:, 0], hits[0, 1] = 40 - number, 20
            truth = torch.zeros(images, size, dtype=torch.int32)
            truth[:, 0], truth[0, 1] = 50, 20
            confusion = torch.zeros(size, size, dtype=torch.int64)
            confusion[0, 0], confusion[1, 1] = int(hits[:, 0].sum()), 20
            confusion[0, 2] = 50 * images - int(hits[:, 0].sum())
            said = hits.clone()
            said[:, 2] = truth[:, 0] - hits[:, 0]
            stems = [f"{number}" for number in range(images)]
            counts[method] = Counts(confusion, images, torch.stack([hits, truth, said], 1), stems)
        found.counts[spec.name] = counts
    return found


def made(
    conditions: Conditions,
    specs: list[DatasetSpec],
    protocol: EvaluationProtocol = PAPER,
    images: int = 2,
    methods: str = "cliptrase",
) -> tuple[dict[str, list[SettingResult]], dict[str, Any]]:
    own = board(specs, methods.split(), protocol, images)
    results = own.results(specs, conditions)
    values = {"label": protocol.label, "name": protocol.name, "overrides": protocol.overrides, "hash": protocol.digest}
    guest = conditions.guest and {**conditions.guest._asdict(), "weights_hash": "85d0a2e2"}
    provenance = {"protocol": values, "model": {**conditions.model._asdict(), "guest": guest}}
    return results, results_document(results, own.averages(results), provenance)


def one_line(sheet: Sheet) -> str:
    return " ".join(printed(sheet, width=None).split())


def all_tables(results: dict[str, list[SettingResult]], document: dict[str, Any]) -> dict[str, str]:
    found = Comparison(document)

    return {
        "terminal": one_line(score_sheet(results, found.protocol, found.notes)),
        "comparison": one_line(comparison_sheet(found)),
        "comparison.md": comparison_markdown(found),
        "comparison.csv": comparison_csv(found),
        "results.csv": results_csv(document),
        "TensorBoard": markdown_scores(results, found.protocol, found.notes),
        "report": page([LoadedRun("run", document)]),
    }


def test_part_of_a_published_set_has_no_difference_and_says_so_everywhere() -> None:
    results, document = made(Conditions(OPENAI, {"COCO171": Extent(2)}), [COCO171.spec], methods="cliptrase vanilla")
    own = document["settings"]["COCO171"]
    assert (own["images_expected"], own["published_comparable"]) == ([5000], False)
    assert own["remarks"] == ["2 of 5000 images"]
    for place, text in all_tables(results, document).items():
        assert "2 of 5000" in text, place
    report = all_tables(results, document)["report"]
    assert "24.06" in report  # the published figure stands beside still
    assert 'data-part="from published"' not in report


def test_the_whole_set_under_the_published_model_has_its_difference() -> None:
    results, document = made(Conditions(OPENAI, {"VOC20": Extent(1449)}), [VOC20.spec], images=1448)
    own = document["settings"]["VOC20"]
    assert (own["published_comparable"], own["remarks"], own["cut"]) == (True, [], None)
    report = page([LoadedRun("run", document)])
    assert f"{own['scores']['released']['mIoU'] - 81.2:+.2f}" in report
    assert "remark" not in results_csv(document).splitlines()[1]
    assert csv.DictReader(io.StringIO(results_csv(document))).fieldnames[-1] == "remark"  # type: ignore[index]
    for text in (*all_tables(results, document).values(),):
        assert "of 1449" not in text


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        (Conditions(Model("embedded", None, "gelu"), {"VOC20": Extent(1449)}), "embedded"),
        (
            Conditions(Model("ViT-L-14", "openai", "quick_gelu"), {"VOC20": Extent(1449)}),
            "other weights: ViT-L-14 openai",
        ),
        (Conditions(OPENAI, {"VOC20": Extent(1449, "first 8 batches only")}), "first 8 batches only"),
    ],
)
def test_every_table_says_what_is_not_as_published(conditions: Conditions, words: str) -> None:
    results, document = made(conditions, [VOC20.spec], images=12, methods="cliptrase vanilla")
    for place, text in all_tables(results, document).items():
        assert words in text, place
    assert not document["settings"]["VOC20"]["published_comparable"]


@pytest.mark.parametrize(
    ("guest", "remark"),
    [
        (Guest(DINO, DINO), ""),
        (
            Guest("some/where/dino_vitbase8_pretrain.pth", DINO),
            "guest with weights of its own: dino_vitbase8_pretrain.pth",
        ),
        (Guest("vit_small_patch8_224.dino", "vit_small_patch8_224.dino"), "other guest: vit_small_patch8_224.dino"),
        (Guest("some/where", "vit_tiny_patch16_224.dino"), "other guest: vit_tiny_patch16_224.dino"),
    ],
)
def test_only_the_published_guest_compares_and_every_table_says_which_it_was(guest: Guest, remark: str) -> None:
    """ProxyCLIP's figures are of DINO ViT-B/8; a method beside it that reads no guest is not held to it."""
    conditions = Conditions(OPENAI, {"VOC21": Extent(1449)}, guest)
    results, document = made(
        conditions,
        [VOC21.spec.with_labels(LabelScheme("proxyclip", void=True))],
        get_protocol("proxyclip"),
        12,
        "proxyclip clearclip",
    )
    own = document["settings"]["VOC21"]
    assert (own["published"]["mIoU"], own["published_comparable"]) == (61.3, not remark)
    assert own["remarks"] == ([remark] if remark else [])
    assert document["methods"]["clearclip"]["settings"]["VOC21"]["remarks"] == []
    for place, text in all_tables(results, document).items():
        assert remark in text, place
        stated = f"Guest tower: {guest.name} ({guest.architecture}, weights 85d0a2e2)."
        assert place.endswith("csv") or stated in text, place


def test_a_guest_that_no_published_score_is_of_needs_no_remark() -> None:
    found = Conditions(OPENAI, guest=Guest("a", "b")).remarks("VOC20", 1449, [1449], beside=True, own_names=True)
    assert found == ()


def test_the_embedded_model_is_a_stand_in_in_every_title() -> None:
    """Also where nothing is published: then without a column of remarks."""
    spec = DatasetSpec("Own", "", (), "", VOC20.spec.vocabulary)
    conditions = Conditions(Model("embedded", None, "gelu"), {"Own": Extent(12)})
    results, document = made(conditions, [spec], images=12, methods="cliptrase vanilla")
    for place, text in all_tables(results, document).items():
        stated = "embedded model" if place.endswith("csv") else "embedded stand-in model, not CLIP ViT-B/16"
        assert stated in text, place
        assert place.endswith("csv") or not re.search(r"\bremark\b[^ ]", text), place


def test_names_other_than_the_protocols_own() -> None:
    """`VOC20` made in Python for another protocol than the run's keeps the released names."""
    for spec, protocol, other in (
        (VOC20.spec, PAPER, False),
        (VOC20.spec.with_labels(LabelScheme("sclip")), PAPER, True),
        (VOC20.spec.with_labels(LabelScheme("sclip")).with_labels(LabelScheme("released")), PAPER, False),
    ):
        _, document = made(Conditions(OPENAI, {"VOC20": Extent(1449)}), [spec], protocol)
        assert document["settings"]["VOC20"]["remarks"] == (["other names"] if other else [])


def test_an_average_says_which_settings_are_not_whole() -> None:
    extents = {"VOC20": Extent(1449), "PC59": Extent(7, "first batch only")}
    _, document = made(Conditions(OPENAI, extents), [VOC20.spec, PC59.spec], images=7)
    *_, average = csv.DictReader(io.StringIO(comparison_csv(Comparison(document))))
    assert average["setting"] == "average"
    assert average["remark"] == "PC59: 7 of 5105 images; PC59: first batch only"


def test_rare_classes_stand_beside_intervals() -> None:
    """Class 0 is in all pictures, class 1 in one."""
    for images, rare in ((40, 1), (12, 1), (9, 2)):
        _, document = made(Conditions(OPENAI, {"VOC20": Extent(1449)}), [VOC20.spec], images=images)
        assert document["settings"]["VOC20"]["rare_classes"] == rare
        held = simulated_coverage(images, rare / 2)
        assert document["settings"]["VOC20"]["simulated_coverage"] == (list(held) if held else None)
        few = f"VOC20: {images} pictures are too few for an interval to be trusted."
        assert (held is None) == (few in notes(document)) == (images < 30)
        told = f"VOC20: {rare} of 2 classes {'occurs' if rare == 1 else 'occur'} in fewer than ten pictures"
        cover = f"; in simulation such intervals hold {held[0]} %, of differences {held[1]} %" if held else ""
        assert f"{told}{cover}." in notes(document)
        assert told in page([LoadedRun("run", document)])
    _, alone = made(Conditions(OPENAI, {"VOC20": Extent(1449)}), [VOC20.spec], images=1)
    assert not any("rare" in note or "fewer" in note for note in notes(alone))  # there is no interval


def test_notes_of_the_protocol_stand_below_the_tables() -> None:
    """From the values that `results.json` holds; a document without them says nothing."""
    protocol = get_protocol("clearclip")
    entry = setting_entry(40.0, images=1449, images_available=1449, images_expected=[1449])
    provenance = {"protocol": {"label": protocol.label, **protocol.values()}}
    document = run_document({method: {"VOC21": entry} for method in ("clearclip", "naclip")}, provenance)
    (sentence,) = notes(document)
    assert sentence == protocol_notes(protocol, ["naclip"], ["VOC21"])[0]
    assert (
        notes({**document, "methods": {"clearclip": {"benchmarks": {}}}}) == notes({**document, "provenance": {}}) == []
    )


def test_bold_is_the_best_and_the_main_method_is_marked_otherwise() -> None:
    results, document = made(Conditions(OPENAI), [VOC20.spec], methods="vanilla sclip naclip")
    values = [rows[0].headline.mIoU for rows in results.values()]
    assert values[0] > values[1] > values[2]
    for ordered in itertools.permutations(document["methods"]):
        shown = {**document, "methods": {method: document["methods"][method] for method in ordered}}
        shown["settings"] = shown["methods"][ordered[0]]["settings"]
        found = Comparison(shown)
        (line,) = re.findall(r"^\| vanilla \| \*\*.*$", comparison_markdown(found), re.MULTILINE)
        assert f"**{values[0]:.2f}" in line
        assert comparison_markdown(found).count("**") == 2
        strong = page([LoadedRun("run", shown)])
        assert f"<strong>{values[0]:.2f}</strong>" in strong
        assert f"<strong>{values[1]:.2f}</strong>" not in strong
        assert strong.index('class="main"') < strong.index(ordered[0], strong.index('class="main"'))
        assert {row[0].text: row[1].mark == "best" for row in comparison_sheet(found).rows} == {
            ("> " if method == ordered[0] else "") + method: method == "vanilla" for method in ordered
        }


def test_equal_figures_are_all_bold_and_one_method_has_none() -> None:
    results, document = made(Conditions(OPENAI), [VOC20.spec], methods="vanilla sclip")
    document["methods"]["sclip"]["settings"] = document["methods"]["vanilla"]["settings"]
    assert comparison_markdown(Comparison(document)).count("**") == 4
    one, alone = made(Conditions(OPENAI), [VOC20.spec])
    assert "**" not in markdown_scores(one, "paper 336")
    assert "<strong>" not in page([LoadedRun("run", alone)])
    assert math.isfinite(results["vanilla"][0].headline.mIoU)


def test_a_narrow_comparison_fits_80_columns() -> None:
    """No line of it is folded, and it holds every score, interval and difference."""
    _, document = made(Conditions(OPENAI), [VOC20.spec, PC59.spec], methods="cliptrase cliptrase-regions")
    comparison = Comparison(document)
    lines = [line.split() for line in printed(long_comparison_sheet(comparison), width=80).splitlines()]
    rows = {(line[0], line[1].strip(">") or line[2]): line for line in lines if line[:1] in (["VOC20"], ["average"])}
    for row in comparison.rows:
        for name, cell in (("VOC20", row.cells["VOC20"]), ("average", row.average)):
            assert cell is not None
            assert cell.interval is not None
            expected = [f"{cell.mIoU:.2f}", *format_interval(cell.interval).split()]
            if cell.difference is not None and cell.difference_interval is not None:
                expected += [f"{cell.difference:+.2f}", *format_interval(cell.difference_interval, signed=True).split()]
            assert [cell.removeprefix("*") for cell in rows[name, row.method][-len(expected) :]] == expected


def test_names_in_square_brackets_are_not_taken_for_styles() -> None:
    spec = DatasetSpec("[red]Own[/red]", "", (), "", VOC20.spec.vocabulary)
    results, document = made(Conditions(OPENAI), [spec], methods="cliptrase vanilla")
    texts = all_tables(results, document)
    for place in ("terminal", "comparison"):
        assert "[red]Own[/red]" in texts[place]
