"""The command line's contract: options in any order, one folder a run, what is in its files."""

import csv
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from cliptrase.cli import COMMANDS, main
from cliptrase.ops import integer_products
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.protocols.table import DEFAULT, get_protocol
from datamodules import COCO80, COCO171, PC459, VOC20, VOC21
from tests.command import QUIET, Run, complaint, run
from tests.kit import save_labels, write_detectron2_tree

CONFIGS = sorted(Path("configs").glob("*.yaml"))


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A small VOC2012 folder; the last picture's label map is empty in the middle, where `paper` looks."""
    root = write_detectron2_tree(tmp_path / "datasets", VOC20.spec, sizes=((120, 150), (96, 96), (60, 180)))
    labels = np.full((60, 180), 255, dtype=np.uint8)
    labels[:, :20] = 3
    save_labels(root / VOC20.spec.folder / VOC20.spec.labels / "scene_2.png", labels)
    return root


def small(root: Path, clip: Path) -> list[str]:
    return ["--config", "configs/paper_224.yaml", "--protocol.size", "64", "--data.root", str(root), *model(clip)]


def model(clip: Path) -> list[str]:
    return ["--model.clip", f"local-dir:{clip}"]


def test_results_document(voc: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [*small(voc, tiny_clip), "--data", "VOC20", "--model.compare", "[vanilla, vanilla+regions]"]
    finished = run("test", tmp_path / "out", *options)
    document = finished.results
    assert set(document) == {"schema", "headline", "settings", "methods", "studies", "provenance"}
    assert list(document["methods"]) == ["cliptrase", "vanilla", "vanilla+regions"]
    result = document["settings"]["VOC20"]
    assert document["methods"]["cliptrase"]["settings"]["VOC20"] == result
    assert set(result) == {
        *("images", "definition", "scores", "intervals"),
        *("protocol", "protocol_hash", "vocabulary_hash", "edition", "per_class", "published", "published_source"),
        *("images_available", "images_expected", "cut", "published_comparable", "remarks"),
        *("rare_classes", "simulated_coverage"),
    }
    assert result["protocol_hash"] == document["provenance"]["protocol"]["hash"]
    assert result["vocabulary_hash"] == document["provenance"]["vocabularies"]["VOC20"]["hash"]
    assert list(result["scores"]) == list(DEFINITIONS)
    assert all(set(scores) == {"pAcc", "mAcc", "fwIoU", "mIoU"} for scores in result["scores"].values())
    assert document["headline"]["mIoU"] == result["scores"]["released"]["mIoU"]
    assert document["headline"]["interval"] == result["intervals"]["mIoU"]
    assert [entry["name"] for entry in result["per_class"]] == list(VOC20.spec.vocabulary.label_names)
    assert sum(entry["pixels"] for entry in result["per_class"]) > 0
    assert result["published"] is None  # 64 pixels are nobody's published protocol
    provenance = document["provenance"]
    assert provenance["protocol"]["size"] == 64
    assert provenance["protocol"]["eps"] == 0.7
    assert provenance["model"]["activation"] == "quick_gelu"
    assert provenance["vocabularies"]["VOC20"]["hash"] == VOC20.spec.vocabulary.digest
    for key in ("versions", "commit", "device", "precision", "images_per_second", "peak_memory_mib", "seconds"):
        assert key in provenance
    assert {"text", "data", "forward", "correlation", "clustering", "regions", "vote"} <= set(provenance["seconds"])
    rows = list(csv.DictReader((finished.folder / "results.csv").read_text().splitlines()))
    assert [(row["method"], row["definition"]) for row in rows[:2]] == [
        ("cliptrase", "released"),
        ("cliptrase", "detectron2"),
    ]
    assert float(rows[0]["mIoU"]) == result["scores"]["released"]["mIoU"]
    written = yaml.safe_load((finished.folder / "config.yaml").read_text())
    assert written["protocol"] == get_protocol("paper", size=64).values()
    again = run("test", tmp_path / "again", "--config", str(finished.folder / "config.yaml"))
    assert again.results["methods"] == document["methods"]
    out = capsys.readouterr().out
    assert "vanilla+regions" in out
    assert str(finished.folder / "results.json") in out


def test_published_figures_stand_beside_the_papers_own_protocol(parity: Path, tiny_clip: Path, tmp_path: Path) -> None:
    options = ["--config", "configs/paper_224.yaml", "--data", "VOC20", "--data.root", str(parity / "datasets")]
    document = run("test", tmp_path, *options, *model(tiny_clip), "--model.compare", "[vanilla]").results
    assert document["settings"]["VOC20"]["published"] == {"pAcc": 89.68, "mAcc": 91.4, "fwIoU": 82.49, "mIoU": 80.95}
    assert document["methods"]["vanilla"]["settings"]["VOC20"]["published"] is None


@pytest.mark.parametrize(
    ("limit", "words"), [(["--trainer.limit_test_batches", "1"], "first batch only"), ([], "")], ids=["cut", "whole"]
)
def test_part_of_a_set_is_marked_everywhere(
    limit: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two pictures of a set of 5,000, under a protocol that has published figures, by the embedded model."""
    root = write_detectron2_tree(tmp_path / "datasets", COCO171.spec, sizes=((60, 60), (60, 60)))
    options = ["--config", "configs/paper_224.yaml", "--data", "COCO171", "--data.root", str(root)]
    options += ["--data.batch_size", "1", "--model.clip", "embedded", "--model.compare", "[vanilla]", *limit]
    finished = run("test", tmp_path / "out", *options)
    images = 1 if limit else 2
    document = finished.results
    own = document["settings"]["COCO171"]
    assert (own["images"], own["images_expected"], own["published_comparable"]) == (images, [5000], False)
    assert own["remarks"] == ["embedded model", f"{images} of 5000 images", *filter(None, [words])]
    assert own["cut"] == (words or None)
    assert document["provenance"]["limits"] == ({"limit_test_batches": 1} if limit else None)
    texts = {
        path.name: path.read_text() for path in finished.folder.iterdir() if path.suffix in (".html", ".md", ".csv")
    }
    texts["terminal"] = " ".join(capsys.readouterr().out.split())
    assert len(texts) == 5
    for name, text in texts.items():
        assert f"{images} of 5000" in text, name
        assert words in text, name
        assert "embedded" in text, name
    assert 'data-part="from published"' not in texts["report.html"]
    assert "22.84" in texts["report.html"]


def test_an_empty_label_map_is_not_scored_but_predicted(voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    options = [*small(voc, tiny_clip), "--data", "VOC20"]
    scored = {
        size: run("test", tmp_path / f"test{size}", *options, "--data.batch_size", size).results["settings"]
        for size in "14"
    }
    assert scored["1"]["VOC20"]["images"] == 2
    assert scored["1"] == scored["4"]
    predicted = run("predict", tmp_path / "predict", *options)
    assert predicted.mask("VOC20", "scene_2").shape == (64, 64)


def test_a_label_map_that_is_empty_everywhere_gives_no_figures_and_a_sentence(
    tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_detectron2_tree(tmp_path / "datasets", VOC21.spec, sizes=((96, 96),))
    labels = root / VOC21.spec.folder / VOC21.spec.labels / "scene_0.png"
    save_labels(labels, np.full((96, 96), 255, dtype=np.uint8))
    options = [*small(root, tiny_clip), *QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    assert complaint(capsys, "test", *options, "--data", "VOC21").startswith("VOC21: no picture was scored, for ")
    (folder,) = (tmp_path / "out").iterdir()
    result = Run(folder).results["settings"]["VOC21"]
    assert result["images"] == 0
    assert set(result["scores"]["released"].values()) == {None}


def test_without_a_cluster_patches_keep_their_names(voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    options = [*small(voc, tiny_clip), "--data", "VOC20", "--protocol.eps", "1e-6"]
    nothing = run("predict", tmp_path / "a", *options)
    patches = run("predict", tmp_path / "b", *options, "--model.method", "cliptrase-regions")
    usual = run("predict", tmp_path / "c", *small(voc, tiny_clip), "--data", "VOC20")
    for stem in ("scene_0", "scene_1", "scene_2"):
        np.testing.assert_array_equal(nothing.mask("VOC20", stem), patches.mask("VOC20", stem))
    assert any((nothing.mask("VOC20", f"scene_{i}") != usual.mask("VOC20", f"scene_{i}")).any() for i in range(3))


def test_masks_are_what_test_scores(voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    options = [
        "--config",
        "configs/detectron2.yaml",
        "--protocol.size",
        "96",
        "--data.root",
        str(voc),
        *model(tiny_clip),
    ]
    predicted = run("predict", tmp_path / "predict", *options, "--data", "VOC20")
    scored = run("test", tmp_path / "test", *options, "--data", "VOC20").results["settings"]["VOC20"]
    right = total = 0
    for number, size in enumerate([(120, 150), (96, 96), (60, 180)]):
        truth = np.array(Image.open(voc / VOC20.spec.folder / VOC20.spec.labels / f"scene_{number}.png"))
        mask = predicted.mask("VOC20", f"scene_{number}")
        assert mask.shape == size
        right += int(((mask == truth) & (truth < 20)).sum())
        total += int((truth < 20).sum())
    assert scored["scores"]["released"]["pAcc"] == round(100 * right / total, 2)
    assert scored["images"] == 3


@pytest.mark.parametrize("protocol", ["sclip", "naclip", "clearclip"])
def test_protocols_of_the_field(voc: Path, tiny_clip: Path, tmp_path: Path, protocol: str) -> None:
    """Masks at the pictures' own size, each in its own vocabulary; `mmseg` scores are those of the masks."""
    smaller = ["--protocol.size", "64", "--protocol.window", "48", "--protocol.stride", "32"]
    options = ["--config", f"configs/{protocol}.yaml", *smaller, "--data.root", str(voc), *model(tiny_clip)]
    predicted = run("predict", tmp_path / "predict", *options, "--data", "VOC20")
    scored = run("test", tmp_path / "test", *options, "--data", "VOC20", "--model.compare", "[cliptrase]").results
    right = total = 0
    for number, size in enumerate([(120, 150), (96, 96), (60, 180)]):
        truth = np.array(Image.open(voc / VOC20.spec.folder / VOC20.spec.labels / f"scene_{number}.png"))
        mask = predicted.mask("VOC20", f"scene_{number}")
        assert mask.shape == size
        right += int(((mask == truth) & (truth < 20)).sum())
        total += int((truth < 20).sum())
    assert scored["settings"]["VOC20"]["scores"]["mmseg"]["pAcc"] == round(100 * right / total, 2)
    assert list(scored["methods"]) == [protocol, "cliptrase"]
    provenance = scored["provenance"]
    assert provenance["protocol"]["label"].startswith(f"{protocol} 64")
    assert (
        provenance["vocabularies"]["VOC20"]["hash"]
        == VOC20.spec.vocabularies[provenance["protocol"]["vocabulary"]].digest
    )


def test_masks_of_many_labels_are_16_bit(tiny_clip: Path, tmp_path: Path) -> None:
    root = write_detectron2_tree(tmp_path / "datasets", PC459.spec, sizes=((96, 96),))
    finished = run("predict", tmp_path / "out", *small(root, tiny_clip), "--data", "PC459")
    assert finished.mask("PC459", "scene_0").dtype == np.uint16


def test_stuff_beyond_the_vocabulary_is_left_out(tiny_clip: Path, tmp_path: Path) -> None:
    """COCO80 reads the 171-class maps: label 80 is background, 81..170 are neither scored nor shown."""
    root = write_detectron2_tree(tmp_path / "datasets", COCO80.spec, sizes=((96, 96),))
    labels = np.full((96, 96), 120, dtype=np.uint8)
    labels[:48], labels[:24] = 80, 7
    save_labels(root / COCO80.spec.folder / COCO80.spec.labels / "scene_0.png", labels)
    options = ["--data", "COCO80", "--data.root", str(root), "--config", "configs/paper_224.yaml", *model(tiny_clip)]
    result = run("test", tmp_path / "out", *options, "--protocol.size", "96").results["settings"]["COCO80"]
    pixels = {entry["label"]: entry["pixels"] for entry in result["per_class"] if entry["pixels"]}
    assert pixels == {7: 24 * 96, 80: 24 * 96}


def test_other_precisions_are_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The demo's first scenes in bfloat16, and as `auto` has them where integers are fast: hardly another figure."""
    monkeypatch.setattr(integer_products, "usable", lambda device: device.type == "cpu")
    options = [
        "--config",
        "configs/demo.yaml",
        "--data",
        "Shapes",
        "--data.scenes",
        "8",
        "--model.compare",
        "[vanilla]",
    ]
    found = {
        precision: run("test", tmp_path / precision, *options, "--trainer.precision", precision).results
        for precision in ("32-true", "bf16-mixed", "auto")
    }
    assert "note: --trainer.precision auto is int8x3 on this machine" in capsys.readouterr().err
    exact, half, auto = (one["settings"]["Shapes"]["scores"]["released"] for one in found.values())
    assert abs(exact["pAcc"] - half["pAcc"]) < 1
    assert all(abs(exact[score] - auto[score]) <= 0.05 for score in exact)
    recorded = found["auto"]["provenance"]
    assert recorded["precision"] == recorded["identity"]["run"]["precision"] == "int8x3"


def test_a_method_goes_by_its_own_name(voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    options = [*small(voc, tiny_clip), "--data", "VOC20", "--model.method", "cliptrase+regions"]
    document = run("test", tmp_path / "out", *options).results
    assert list(document["methods"]) == [document["provenance"]["method"]] == ["cliptrase"]


def test_two_runs_never_share_a_folder(voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    arguments = ["predict", *small(voc, tiny_clip), "--data", "VOC20", "--data.num_workers", "0"]
    for _ in range(2):
        assert main([*arguments, "--trainer.default_root_dir", str(tmp_path / "out"), "--trainer.logger", "false"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_configurations_layer_left_to_right(voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("protocol: {size: 48, eps: 0.9}\nmodel: {method: maskclip}\n")
    options = ["--config", "configs/paper_224.yaml", "--config", str(own), "--data.root", str(voc), *model(tiny_clip)]
    document = run("test", tmp_path / "out", "--data.batch_size", "2", *options, "--data=VOC20").results
    assert document["provenance"]["protocol"]["size"] == 48
    assert document["provenance"]["protocol"]["min_samples"] == 3
    assert document["provenance"]["method"] == "maskclip"


def test_a_benchmark_names_what_is_missing(voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="left out, for their folders are missing: COCO171 .*coco"):
        finished = run("test", tmp_path / "out", *small(voc, tiny_clip), "--data", "Benchmark")
    assert list(finished.results["settings"]) == ["VOC20", "VOC21"]


def test_a_benchmark_goes_on_without_label_maps_that_are_made_here(voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    """VOC21 without void apart cannot be scored by mmseg's rules, VOC20 can; masks need no label maps at all."""
    smaller = ["--protocol.size", "64", "--protocol.window", "48", "--protocol.stride", "32", *model(tiny_clip)]
    options = ["--config", "configs/sclip.yaml", *smaller, "--data", "Benchmark", "--data.root", str(voc)]
    chosen = [*options, "--data.settings", "[VOC20, VOC21]"]
    cure = "make detectron2's by: cliptrase prepare voc --keep-void --source DIR --root"
    with pytest.warns(UserWarning, match=rf"VOC21 \(.*annotations_detectron2_void/val \(detectron2\), .*; {cure}"):
        scored = run("test", tmp_path / "test", *chosen)
    assert list(scored.results["settings"]) == ["VOC20"]
    predicted = run("predict", tmp_path / "predict", *chosen)
    assert predicted.mask("VOC21", "scene_0").shape == (120, 150)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_is_understood(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--config", str(config), "--data", "VOC20", "--print_config"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["protocol"] == get_protocol(yaml.safe_load(config.read_text()).get("protocol", DEFAULT)).values()


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    asked = capsys.readouterr().out
    assert re.findall(r"^  ([a-z-]+)  +\w", asked, flags=re.MULTILINE) == list(COMMANDS)
    assert main([]) == 2
    assert capsys.readouterr().out == asked


def test_configurations_are_found_from_any_folder(
    voc: Path, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("predict", tmp_path / "out", *small(voc, tiny_clip), "--data", "VOC20").mask("VOC20", "scene_0").any()


class TestFolder:
    """Anybody's pictures and label maps."""

    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        """Three pictures of VOC20's kit as `image/` and `gt/`, labels 0..2 and 255."""
        source = write_detectron2_tree(tmp_path / "source", VOC20.spec) / VOC20.spec.folder
        root = tmp_path / "own"
        (source / "images_detectron2/val").rename((root / "image").parent.mkdir() or root / "image")
        for path in (source / VOC20.spec.labels).iterdir():
            labels = np.array(Image.open(path))
            save_labels(root / "gt" / path.name, np.where(labels == 255, 255, labels % 3).astype(np.uint8))
        return root

    def options(self, tree: Path, clip: Path, *more: str) -> list[str]:
        return ["--data", "Folder", *small(tree, clip), *more]

    def pixels(self, tree: Path, clip: Path, out: Path, *more: str) -> dict[str, int]:
        result = run("test", out, *self.options(tree, clip, *more)).results["settings"]["Folder"]
        return {entry["name"]: entry["pixels"] for entry in result["per_class"]}

    def test_names_from_a_file_keep_their_commas(self, tree: Path, tiny_clip: Path, tmp_path: Path) -> None:
        names = tmp_path / "names.txt"
        names.write_text("building, edifice\ncat\n\ndog\n")
        counts = self.pixels(tree, tiny_clip, tmp_path / "out", "--data.classes", str(names))
        assert list(counts) == ["building, edifice", "cat", "dog"]
        assert all(counts.values())

    def test_an_offset_shifts_labels_and_leaves_out_what_is_below(
        self, tree: Path, tiny_clip: Path, tmp_path: Path
    ) -> None:
        plain = self.pixels(tree, tiny_clip, tmp_path / "a", "--data.classes", "[zero, one, two]")
        shifted = self.pixels(
            tree, tiny_clip, tmp_path / "b", "--data.classes", "[one, two]", "--data.label_offset", "1"
        )
        assert shifted == {name: plain[name] for name in ("one", "two")}

    def test_a_background_label_takes_its_place(self, tree: Path, tiny_clip: Path, tmp_path: Path) -> None:
        options = ("--data.classes", "[cat, dog]", "--data.background_index", "0", "--data.background", "wall, floor")
        counts = self.pixels(tree, tiny_clip, tmp_path / "out", *options)
        assert list(counts) == ["background", "cat", "dog"]
        assert all(counts.values())

    def test_folders_may_lie_apart(self, tree: Path, tiny_clip: Path, tmp_path: Path) -> None:
        (tree / "gt").rename(tmp_path / "truth")
        options = self.options(tmp_path, tiny_clip, "--data.images", str(tree / "image"))
        options += ["--data.labels", str(tmp_path / "truth"), "--data.classes", "[a, b, c]"]
        assert run("test", tmp_path / "out", *options).results["settings"]["Folder"]["images"] == 3

    def test_predict_needs_no_labels(self, tree: Path, tiny_clip: Path, tmp_path: Path) -> None:
        (tree / "gt").rename(tmp_path / "elsewhere")
        options = self.options(tree, tiny_clip, "--data.classes", "[a, b, c]")
        assert run("predict", tmp_path / "out", *options).mask("Folder", "scene_1").shape == (64, 64)


def test_a_warning_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    assert main(["test", "--help"]) == 0
    assert warnings.formatwarning("left out: PC59", UserWarning, "benchmark.py", 91) == "warning: left out: PC59\n"
    assert "benchmark.py:91" in warnings.formatwarning("old", DeprecationWarning, "benchmark.py", 91)


def test_one_batch_is_not_all_of_them() -> None:
    """Also where a library that the doctor imports wrote `Union[float, int]` before Lightning the other way round."""
    code = (
        "import datamodules.doctor.__main__; from cliptrase.cli import main; "
        "main(['test', '--config', 'demo', '--trainer.limit_test_batches', '1', '--print_config'])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "limit_test_batches: 1\n" in printed
