"""A folder of many people's runs: verified ones marked, and nothing in one column that does not compare."""

import re
from html import unescape
from pathlib import Path

import pytest

from cliptrase.cli import main
from cliptrase.cli.known import known_data
from cliptrase.common.errors import InputError
from cliptrase.evidence.community import Community, gather
from cliptrase.evidence.community_html import community_page
from cliptrase.protocols.table import get_protocol
from tests.command import complaint
from tests.evidence_runs import change_document, write_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five people; of two protocols, three sets of images and two lists of names."""
    many = tmp_path / "many"
    write_run(many / "alice" / "one", ("cliptrase", "gem"), ("VOC20", "PC59"))
    write_run(many / "bob", ("cliptrase",), predictions=5)
    write_run(many / "carol", ("gem",), protocol=get_protocol("sclip"))
    write_run(many / "dave", ("gem",), pictures=10)
    write_run(many / "erin", ("gem",), truth=4)
    return many


def gathered(folder: Path) -> Community:
    return gather([folder], known_data())


def test_a_column_is_of_one_protocol_and_equal_data(folder: Path) -> None:
    found = gathered(folder)
    assert (found.runs, found.refused) == (5, [])
    held = {key: sorted(line.run for line in found.lines if key in line.entries) for key in found.columns}
    assert sorted(held.values()) == [
        ["alice/one", "alice/one"],
        ["alice/one", "alice/one", "bob"],
        ["carol"],
        ["dave"],
        ["erin"],
    ]
    assert len({key.protocol_hash for key in held}) == 2
    assert {key.vocabulary_hash for key in held if key.protocol == "sclip"}.isdisjoint(
        key.vocabulary_hash for key in held if key.protocol != "sclip"
    )
    voc = [key for key in held if key.setting == "VOC20" and key.protocol == "paper 336"]
    assert sorted(key.images for key in voc) == [10, 12, 12]
    assert len({key.data for key in voc}) == 3


def test_the_best_of_a_column_alone(folder: Path) -> None:
    found = gathered(folder)
    for key in found.columns:
        scores = [(line.entries[key].mIoU or 0, found.leads(line, key)) for line in found.lines if key in line.entries]
        assert [leads for _, leads in sorted(scores)] == [False] * (len(scores) - 1) + [len(scores) > 1]


def test_runs_that_do_not_hold_together_stand_apart(folder: Path) -> None:
    change_document(folder / "bob", lambda d: d["settings"]["VOC20"]["scores"]["released"].update(mIoU=99.9))
    (folder / "frank").mkdir()
    (folder / "frank" / "results.json").write_text("{}")
    with pytest.warns(UserWarning, match="is not verified") as told:
        found = gathered(folder)
    assert len(told) == 2
    assert [one.run for one in found.refused] == ["bob", "frank"]
    assert found.refused[0].reason.startswith("results.json: released mIoU of VOC20 under `settings` is 99.9")
    page = community_page(found)
    above, below = page.split("Not verified")
    assert "bob" not in above
    assert "99.9" not in above
    assert "bob" in below
    assert above.count("verified; 2026-11-28") == 5


def test_the_page_needs_no_network_and_escapes(folder: Path) -> None:
    """Names of folders come from others."""
    (folder / "bob").rename(folder / "<img src=x onerror=alert(1)>")
    page = community_page(gathered(folder))
    assert "<img" not in page
    assert "<img src=x onerror=alert(1)>" in unescape(page)
    assert "default-src" in page
    assert not re.search(r'(?:src|href)="', page)


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_document(folder / "bob", lambda d: d["headline"].update(mIoU=1.0))
    assert main(["report", str(folder)]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"verified: 4 of 5 runs\nreport: {folder / 'community.html'}\n"
    assert printed.err.startswith("warning: bob is not verified: results.json: mIoU of the headline is 1.0, and ")
    assert main(["report", str(folder), "--out", str(tmp_path / "own.html")]) == 0
    assert (tmp_path / "own.html").read_bytes() == (folder / "community.html").read_bytes()
    assert main(["report", str(folder / "dave"), "--out", str(tmp_path / "one.html")]) == 0  # a run, as ever
    assert "Run dave, " in (tmp_path / "one.html").read_text()
    sentence = complaint(capsys, "report", str(folder), str(folder / "dave"))
    assert sentence.startswith(f"{folder / 'dave'} holds no folders of runs")
    out = folder / "dave" / "results.json"
    assert "would replace what is read" in complaint(capsys, "report", str(folder), "--out", str(out))
    (tmp_path / "empty").mkdir()
    assert complaint(capsys, "report", str(tmp_path / "empty")).startswith("cannot read ")
    with pytest.raises(InputError, match="no run lies in"):
        gathered(tmp_path / "empty")
