"""`docs/reading_tables.md` says what the package's data say."""

import re
from pathlib import Path

import pytest

from cliptrase.evaluation.published import published_systems
from cliptrase.protocols.protocol import as_text
from cliptrase.protocols.table import PROTOCOLS
from datamodules.specs import DATASETS

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "reading_tables.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Cells of the table below a heading, without its heads."""
    table = PAGE[PAGE.index(heading) :]
    lines = re.findall(r"^\|.*\|$", table[table.index("\n|") :].partition("\n\n## ")[0], flags=re.M)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize("row", rows("## Names"), ids=lambda row: row[0])
def test_the_prompts_of_a_list(row: list[str]) -> None:
    name = row[0].strip("`")
    for dataset, cell in (("VOC21", row[1]), ("COCO80" if "COCO80" in row[2] else "COCOObject", row[2])):
        spec = DATASETS[dataset]
        vocabulary = spec.vocabulary if name == "released" else spec.vocabularies[name]
        assert len(vocabulary.background) == int(re.match(r"\d+", cell)[0])  # type: ignore[index]


@pytest.mark.parametrize("row", rows("## Constants by data set"), ids=lambda row: row[0])
def test_the_constants_of_a_protocol(row: list[str]) -> None:
    for name in row[0].replace("`", "").split(", "):
        for dataset, cell in zip(("VOC21", "PC60", "COCOObject"), row[1:], strict=True):
            own = PROTOCOLS[name].on(dataset)
            values = [own.logit_scale, own.background_threshold, own.min_area]
            shown = cell.split(", ")
            assert shown == [as_text(value) for value in values[: len(shown)]]
            assert own.min_area == 0 or len(shown) == 3


def test_figures_that_are_quoted() -> None:
    by_source = {(system.system, system.source): system.mIoU for system in published_systems()}
    assert by_source["MaskCLIP", "ResCLIP, figure"]["Cityscapes"] == 12.6
    assert by_source["MaskCLIP", "Trident, figure"]["Cityscapes"] == 24.9
    assert by_source["SFP", "OV-Stitcher, figure"]["VOC21"] == 62.9
    assert by_source["SFP", "PEARL, figure"]["VOC21"] == 56.8
    own = sorted(system.mIoU["COCO80"] for system in published_systems() if "COCO80" in system.mIoU)
    assert own == [43.56, 44.84]
    assert not any("COCOObject" in system.mIoU for system in published_systems() if system.system == "CLIPtrase")
    for figure in ("12.6", "24.9", "62.9", "56.8", "43.56", "44.84", "43.6"):
        assert figure in PAGE
    assert set(DATASETS["PC59"].images_expected) == {5104, 5105}
