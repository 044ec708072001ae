"""One pass over the pictures under several vocabularies gives what a run under each gives."""

import csv
from pathlib import Path

import pytest
import yaml

from benchmarks import vocabulary
from cliptrase.common.errors import InputError
from datamodules import VOC21
from tests.command import run
from tests.kit import write_detectron2_tree


@pytest.mark.parametrize("method", ["cliptrase", "resclip+tau_s=10+lambda_s=0.5+temp_thd=0.08"])
def test_vocabularies_as_runs_of_their_own(method: str, tmp_path: Path, tiny_clip: Path) -> None:
    """Also of a method whose features depend on the names."""
    root = write_detectron2_tree(tmp_path / "data", VOC21.spec, sizes=((64, 80), (80, 64), (64, 64)))
    protocol = tmp_path / "protocol.yaml"
    protocol.write_text(yaml.safe_dump({"base": "paper_224", "name": "small", "size": 64, "templates": "vild"}))
    clip = f"local-dir:{tiny_clip}"
    options = ["--protocol", str(protocol), "--root", str(root), "--clip", clip, "--workers", "0", "--device", "cpu"]
    options += ["--method", method]
    vocabulary.main(["VOC21", "--vocabularies", "plain", "sclip", *options, "--out", str(tmp_path / "table.csv")])
    with (tmp_path / "table.csv").open() as file:
        table = {row["vocabulary"]: row for row in csv.DictReader(file)}
    assert list(table) == ["plain", "sclip"]
    assert table["sclip"]["difference"] != ""
    data = ["--data", "VOC21", "--data.root", str(root)]
    for name, row in table.items():
        chosen = ["--protocol", str(protocol), "--protocol.vocabulary", name]
        chosen += ["--model.clip", clip, "--model.method", method]
        alone = run("test", tmp_path / name, *chosen, *data).results
        found = {key: float(row[key]) for key in ("pAcc", "mAcc", "fwIoU", "mIoU")}
        assert found == alone["settings"]["VOC21"]["scores"][alone["headline"]["definition"]]
        assert row["hash"] == alone["provenance"]["vocabularies"]["VOC21"]["hash"]
        assert int(row["images"]) == alone["settings"]["VOC21"]["images"]


def test_a_vocabulary_that_is_not_there() -> None:
    with pytest.raises(InputError, match="VOC21 has no vocabulary 'mine'; take some of released, plain, sclip"):
        vocabulary.editions(VOC21.spec, ["mine"], void=False)
