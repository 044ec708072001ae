"""Which pictures get a sheet does not hang on how they come: any batches, any number of processes."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cliptrase.runs.batches import LabelMaps
from cliptrase.runs.callbacks.sheet_choice import Choice, Line, Sheet, chosen, keep


def maps(stems: list[str], hits: list[int]) -> LabelMaps:
    """Pictures of eight pixels, so many of them right."""
    truth = torch.ones(len(stems), 2, 4, dtype=torch.int64)
    said = (torch.arange(8) < torch.tensor(hits)[:, None]).long().view(-1, 2, 4)
    return LabelMaps(stems, torch.zeros(len(stems), 3, 2, 4, dtype=torch.uint8), {"m": said}, truth, {})


@given(
    st.lists(st.integers(0, 8), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 4),
    st.integers(0, 4),
    st.sets(st.integers(0, 14), max_size=3),
)
def test_any_split_chooses_the_same(
    hits: list[int], processes: int, batch_size: int, pictures: int, worst: int, wanted: set[int]
) -> None:
    stems = [f"{number:02d}" for number in range(len(hits))]
    names = {f"{number:02d}" for number in wanted}
    lines: list[Line] = []
    for rank in range(processes):
        own = Choice(pictures, names, worst)
        mine = list(range(rank, len(stems), processes))
        for start in range(0, len(mine), batch_size):
            batch = mine[start : start + batch_size][::-1]  # groups of one size come in another order
            own.look(maps([stems[place] for place in batch], [hits[place] for place in batch]))
            assert len(own.examples) <= pictures + worst + len(names)
        assert own.examples.keys() == {row.stem for row in own.lines}
        lines += own.lines
    found = chosen(lines, pictures, worst)
    first = stems[:pictures]
    assert [row.stem for row in found if row.kind == "first"] == first
    assert [row.stem for row in found if row.kind == "named"] == sorted(names & set(stems) - set(first))
    lowest = sorted(zip(hits, stems, strict=True))[:worst]
    assert [row.stem for row in found if row.kind == "worst"] == [stem for _, stem in lowest]


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"sheets": 3}', b'{"sheets": [1]}', b"\xff"])
def test_a_damaged_index_is_written_anew(damaged: bytes, tmp_path: Path) -> None:
    (tmp_path / "sheets.json").write_bytes(damaged)
    settings, own = ["PC59", "VOC20"], Sheet("VOC20", [], b"png")
    keep(tmp_path, "VOC20", {"VOC20/b.png": (Line("first", "b", float("nan")), own)}, settings)
    keep(tmp_path, "PC59", {"PC59/a.png": (Line("worst", "a", 12.345), own)}, settings)
    keep(tmp_path, "VOC20", {"VOC20/a.png": (Line("first", "a", 1.0), own)}, settings)  # one that was not drawn
    keep(tmp_path, "VOC20", {"VOC20/b.png": (Line("first", "b", 2.0), own)}, settings)  # drawn again
    lines = json.loads((tmp_path / "sheets.json").read_text())["sheets"]
    assert [line["file"] for line in lines] == ["PC59/a.png", "VOC20/a.png", "VOC20/b.png"]
    assert [line["mIoU"] for line in lines] == [pytest.approx(12.345, abs=0.006), 1.0, 2.0]
