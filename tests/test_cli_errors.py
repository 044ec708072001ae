"""Bad input gets one sentence that says what was wrong, its value and the cure; nothing is left half done."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import VOC20
from tests.command import QUIET, complaint
from tests.kit import save_labels, scene, write_detectron2_tree
from tests.kit.fixture import MODEL_CONFIG

PICTURES = f"{VOC20.spec.folder}/{VOC20.spec.images[0]}"
LABELS = f"{VOC20.spec.folder}/{VOC20.spec.labels}"


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return write_detectron2_tree(tmp_path / "datasets", VOC20.spec, sizes=((96, 96), (70, 80)))


@pytest.fixture
def complain(
    tmp_path: Path, tiny_clip: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Runs `test` at 64 pixels with the tiny CLIP and further options, and gives the complaint."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def call(*options: str, status: int = 1, clip: str = "") -> str:
        arguments = ["test", "--config", "configs/paper_224.yaml", "--protocol.size", "64", *QUIET]
        arguments += [
            "--model.clip",
            clip or f"local-dir:{tiny_clip}",
            "--trainer.default_root_dir",
            str(tmp_path / "out"),
        ]
        sentence = complaint(capsys, *arguments, *options, status=status)
        assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("results.json"))
        return sentence

    return call


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fit"], "nothing is trained here, so there is no 'fit': take 'test' or 'predict'"),
        (["validate"], "nothing is trained here, so there is no 'validate'"),
        (["train"], "there is no command 'train'; take one of test, predict, prepare, doctor, "),
        (["pedict"], "there is no command 'pedict'; did you mean predict? Else take one of test, "),
        (["test", "--config", "configs/paper_224.yaml"], "no data: give --data with one of COCO171, "),
        (["test", "--model.clip", "ViT-B-16"], "no data: give --data with one of COCO171, "),
        (["test", "--data", "VOC99"], "--data VOC99 is not a data set; take one of COCO171, "),
        (
            ["test", "--config", "configs/none.yaml", "--data", "VOC20"],
            "--config 'configs/none.yaml' is no file and no configuration of that name comes with ",
        ),
        (["test", "--data", "VOC20", "--data.rot", "x"], "rot"),
    ],
)
def test_wrong_usage(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected in complaint(capsys, *arguments, status=2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ["--data", "VOC20", "--data.root", "/nowhere"],
            "--data.root /nowhere is no folder; name the one that holds the data sets' folders",
        ),
        (["--data", "Benchmark", "--data.root", "/nowhere"], "--data.root /nowhere is no folder; name the one that"),
        (["--data", "Benchmark", "--data.settings", "[VOC9]"], "names 'VOC9', which is no data set; take "),
        (["--data", "VOC20", "--data.batch_size", "0"], "--data.batch_size must be at least 1, not 0"),
        (["--data", "VOC20", "--data.num_workers", "-1"], "--data.num_workers must be at least 0, not -1"),
        (["--data", "Shapes", "--data.scenes", "0"], "--data.scenes must be at least 1, not 0"),
        (["--data", "Folder"], "Folder needs --data.classes: a text file of one class a line"),
        (["--data", "Folder", "--data.classes", "/nowhere.txt"], "--data.classes '/nowhere.txt' is not a text file"),
        (["--data", "Folder", "--data.classes", "[]"], "names no class; give at least one"),
        (
            ["--data", "Folder", "--data.classes", "[a, a]"],
            "class names must differ, but 'a' stands more than once",
        ),
        (
            ["--data", "Folder", "--data.classes", "[a]", "--data.background_index", "9"],
            "--data.background_index 9 is not among the labels 0..1",
        ),
        (["--data", "VOC20", "--protocol.eps", "-1"], "protocol.eps must be greater than 0, not -1"),
        (["--data", "VOC20", "--protocol.size", "large"], "protocol.size must be a whole number or 'own', not 'large'"),
        (
            ["--data", "VOC20", "--protocol", "sclp"],
            "there is no protocol 'sclp'; did you mean sclip? Else take one of ",
        ),
        (
            ["--data", "VOC20", "--config", "configs/sclip.yaml", "--protocol.overrides", "{VOC2x: {logit_scale: 65}}"],
            "protocol.overrides names 'VOC2x', which is no data set; did you mean VOC2",
        ),
        (["--data", "VOC20", "--protocol.size", "2147483648"], "protocol.size must be at most 16384, not 2147483648"),
        (["--data", "VOC20", "--protocol.eps", ".nan"], "protocol.eps must be greater than 0, not nan"),
        (
            ["--data", "VOC20", "--protocol.window", "96"],
            "protocol.stride must be greater than 0 for windows, not 0",
        ),
        (
            ["--data", "VOC20", "--config", "configs/sclip.yaml", "--model.method", "cliptrase+majority"],
            "method cliptrase+majority: protocol sclip averages the logits of windows",
        ),
        (["--data", "VOC20", "--model.method", "magic"], "unknown method 'magic': take one of "),
        (["--data", "VOC20", "--model.compare", "[magic]"], "unknown method 'magic': take one of "),
        (
            ["--data", "VOC20", "--model.pretrained", "openai"],
            "brings its own weights: leave out --model.pretrained 'openai'",
        ),
    ],
)
def test_options_that_cannot_be_used(complain: Callable[..., str], options: list[str], expected: str) -> None:
    assert expected in complain(*options)


def test_a_size_that_the_tower_cannot_see(complain: Callable[..., str], voc: Path) -> None:
    """Which is known once the data was checked."""
    sentence = complain("--data", "VOC20", "--data.root", str(voc), "--protocol.size", "100")
    assert "protocol.size 100 is not a multiple of the tower's patch of 16" in sentence


@pytest.mark.parametrize(
    ("clip", "options", "expected"),
    [
        ("ViT-X", [], "--model.clip 'ViT-X' is not an architecture of open_clip"),
        ("local-dir:/nowhere", [], "no open_clip_config.json in /nowhere; name a folder that holds one"),
        (
            "ViT-B-16",
            ["--model.pretrained", "none"],
            "--model.pretrained 'none' is neither a file nor a tag of ViT-B-16",
        ),
        (
            "ViT-B-16",
            [],
            "run once with network access (they are then cached), give a weights file by --model.pretrained",
        ),
        ("RN50", ["--model.pretrained", "none"], "its visual tower is a ResNet"),
        ("ViT-B-16", ["--model.pretrained", "none"], "neither a file nor a tag of ViT-B-16"),
    ],
)
def test_weights_that_cannot_be_had(
    complain: Callable[..., str], voc: Path, clip: str, options: list[str], expected: str
) -> None:
    sentence = complain("--data", "VOC20", "--data.root", str(voc), *options, clip=clip)
    assert expected in sentence


def test_a_tower_too_shallow_for_a_method_is_told_by_its_configuration(
    complain: Callable[..., str], tmp_path: Path
) -> None:
    """There are no weights, which nobody has asked for yet."""
    config = {**MODEL_CONFIG, "vision_cfg": {**MODEL_CONFIG["vision_cfg"], "layers": 3}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    sentence = complain("--data", "Shapes", "--model.method", "gem", clip=f"local-dir:{tmp_path}")
    assert sentence.startswith("method gem governs the last 6 blocks, but the visual tower has 3")


def spoil(name: str) -> Callable[[Path], None]:
    """Replaces a file by one that breaks off."""
    return lambda root: (root / name).write_bytes((root / name).read_bytes()[:60]) and None


def colour(root: Path) -> None:
    Image.fromarray(scene(0, 96, 96)[0]).save(root / LABELS / "scene_0.png")


def relabel(root: Path) -> None:
    save_labels(root / LABELS / "scene_0.png", np.full((96, 96), 77, dtype=np.uint8))


def resize(root: Path) -> None:
    save_labels(root / LABELS / "scene_0.png", np.zeros((90, 96), dtype=np.uint8))


def twin(root: Path) -> None:
    Image.fromarray(np.zeros((96, 96, 3), dtype=np.uint8)).save(root / PICTURES / "scene_0.jpg")


def clear(name: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for path in (root / name).iterdir():
            path.unlink()

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda root: (root / PICTURES / "scene_1.png").unlink(),
            "labels}/scene_1.png has no picture of that name in ",
        ),
        (
            lambda root: (root / LABELS / "scene_1.png").unlink(),
            "pictures}/scene_1.png has no label map of that name in ",
        ),
        (spoil(f"{LABELS}/scene_1.png"), "labels}/scene_1.png cannot be read as a label map"),
        (spoil(f"{PICTURES}/scene_1.png"), "pictures}/scene_1.png cannot be read as a picture"),
        (colour, "labels}/scene_0.png holds RGB colours where label indices were expected"),
        (relabel, "labels}/scene_0.png holds label 77, but VOC20 has labels 0..19, and 255 for unlabelled pixels"),
        (resize, "labels}/scene_0.png has 96 x 90 pixels, its picture scene_0.png 96 x 96; both must be of one size"),
        (twin, "scene_0.png have the same name but for the ending, so which is meant cannot be told; move one of them"),
        (clear(PICTURES), "no pictures in {pictures}; looked for .bmp"),
        (clear(LABELS), "no label maps in {labels}; looked for .bmp"),
    ],
    ids=[
        "no picture",
        "no label",
        "bad label",
        "bad picture",
        "colour",
        "value",
        "size",
        "twin",
        "no pictures",
        "no labels",
    ],
)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_files_that_cannot_be_used(
    complain: Callable[..., str], voc: Path, change: Callable[[Path], None], expected: str, workers: str
) -> None:
    change(voc)
    sentence = complain("--data", "VOC20", "--data.root", str(voc), "--data.num_workers", workers)
    places = {
        "{pictures}": str(voc / PICTURES),
        "{labels}": str(voc / LABELS),
        "pictures}": PICTURES,
        "labels}": LABELS,
    }
    for mark, place in places.items():
        expected = expected.replace(mark, place)
    assert expected in sentence


def test_a_precision_that_cannot_be_used(complain: Callable[..., str], voc: Path) -> None:
    sentence = complain("--data", "VOC20", "--data.root", str(voc), "--trainer.precision", "bf16-true")
    assert sentence.startswith(
        "--trainer.precision bf16-true would round text and clustering too; take one of 32-true, "
    )


def test_a_picture_that_breaks_off_later_on_is_named_by_its_worker(complain: Callable[..., str], voc: Path) -> None:
    path = voc / PICTURES / "scene_1.png"
    path.write_bytes(path.read_bytes()[:-400])  # its header, which is all that the check before the run reads, is whole
    sentence = complain("--data", "VOC20", "--data.root", str(voc), "--data.num_workers", "1")
    assert sentence.startswith(f"{path} cannot be read as a picture")
    assert "Traceback" not in sentence


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--data.root", "/nowhere"], "is no folder; name the one that holds the data sets' folders"),
        ([], "add it or move the file to another folder"),
        (["--model.method", "nonsense"], "nonsense"),
        (["--trainer.precision", "64-true"], "take one of 32-true"),
    ],
    ids=["root", "file", "method", "precision"],
)
def test_no_weights_are_read_before_all_else_was_checked(
    complain: Callable[..., str],
    voc: Path,
    options: list[str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cliptrase.runs.module.load_clip", lambda *_: pytest.fail("the weights were asked for"))
    if not options:
        (voc / LABELS / "scene_1.png").unlink()
    assert expected in complain("--data", "VOC20", "--data.root", str(voc), *options)
