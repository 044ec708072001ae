"""Vocabulary, words and label maps are questioned on the command line: a note, a warning or one sentence."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonargparse import ArgumentParser
from numpy.typing import NDArray
from PIL import Image

from cliptrase.cli.arguments import with_defaults
from cliptrase.clip.templates import TEMPLATES
from cliptrase.clip.text import check_names
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.evaluation.counts import SegmentationCounts
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import MOST_LABELS, Vocabulary, single_names
from datamodules import Folder, Photos
from tests.command import QUIET, complaint, run
from tests.kit import save_labels, scene

LONG = "a surface that is seen from some distance in daylight " * 8


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., list[str]]:
    """Writes two pictures with the label maps given, and gives the options of `test` but the classes."""

    def write(*maps: NDArray[np.integer]) -> list[str]:
        for number, labels in enumerate(maps):
            (tmp_path / "own/image").mkdir(parents=True, exist_ok=True)
            Image.fromarray(scene(number, *labels.shape)[0]).save(tmp_path / f"own/image/{number}.png")
            save_labels(tmp_path / f"own/gt/{number}.png", labels)
        options = ["--config", "configs/paper_224.yaml", "--protocol.size", "32", "--protocol.templates", "vild"]
        options += ["--protocol.eps", "0.7", "--protocol.min_samples", "3"]
        return [*options, "--model.clip", "embedded", "--data", "Folder", "--data.root", str(tmp_path / "own")]

    return write


def halves(left: int, right: int) -> NDArray[np.uint8]:
    labels = np.full((32, 48), left, dtype=np.uint8)
    labels[:, 30:] = right
    return labels


def test_a_line_says_what_the_maps_hold_and_a_warning_what_they_cannot_mean(
    own: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = own(halves(255, 0), halves(255, 0))
    with pytest.warns(
        UserWarning, match="Folder: value 255 covers most of 2 of 2 label maps and is not scored, while 'sky'"
    ):
        run("test", tmp_path / "out", *options, "--data.classes", "[grass, sky]")
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: Folder: 2 pictures; 62.5 % of the pixels are not scored; 1 of 2 classes never occurs: 'sky'",
        "note: Folder: the protocol crops the middle square: it sees and scores 66.7 percent of the pixels of "
        "2 pictures",
    ]


def test_nothing_to_score_ends_with_status_1(
    own: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*own(halves(255, 255), halves(255, 255)), *QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    sentence = complaint(capsys, "test", *options, "--data.classes", "[grass, sky]")
    assert sentence.startswith(
        "Folder: there is nothing to score, for 2 label maps hold nothing but 255, which is not scored"
    )
    assert not list(tmp_path.rglob("results.json"))


@pytest.mark.filterwarnings("ignore:Folder. value 255 covers most")
def test_pictures_whose_crop_is_empty_are_counted_and_said(
    own: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edge = np.full((32, 96), 255, dtype=np.uint8)  # the middle square sees nothing of it
    edge[:, 90:] = 1
    options = own(halves(0, 1), edge)
    found = run("test", tmp_path / "out", *options, "--data.classes", "[grass, sky]").results["settings"]["Folder"]
    assert found["images"] == 1
    said = capsys.readouterr().err
    assert (
        "note: Folder: 1 picture was left out, for the label maps hold nothing to score where the protocol looks: 1"
        in said
    )
    common = [*own(edge, edge), *QUIET, "--trainer.default_root_dir", str(tmp_path / "none")]
    assert main_says(capsys, *common).startswith(
        "Folder: no picture was scored, for the label maps hold nothing to score"
    )


def main_says(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    return complaint(capsys, "test", *options, "--data.classes", "[grass, sky]")


def test_one_class_has_figures_and_a_warning(own: Callable[..., list[str]], tmp_path: Path) -> None:
    options = [*own(halves(0, 0), halves(0, 255)), "--data.classes", "[grass]"]
    with pytest.warns(
        UserWarning, match="one class and no background, so that every pixel is 'grass' and the score is 100"
    ):
        found = run("test", tmp_path / "out", *options).results["settings"]["Folder"]
    assert found["images"] == 2
    assert found["scores"]["detectron2"] == dict.fromkeys(("pAcc", "mAcc", "fwIoU", "mIoU"), 100.0)


def test_the_confusion_matrix_of_one_class_keeps_its_dimensions() -> None:
    counts = SegmentationCounts(["one"], 1)
    labels = torch.tensor([[[0, 0, -1], [0, -1, 0]]])
    counts.update({"one": torch.zeros(1, 2, 3, dtype=torch.int64)}, labels, [0])
    assert counts.compute()["one"].confusion.tolist() == [[4]]


def test_labels_beyond_memory_and_masks_are_refused_before_they_are_counted() -> None:
    with pytest.raises(
        InputError, match="30000 labels cannot be scored: their confusion matrix takes 7 GB for each method"
    ):
        SegmentationCounts(["one"], 30_000)
    with pytest.raises(InputError, match="the vocabulary has 100000 labels, but label maps hold at most 65536"):
        Vocabulary(single_names([f"w{number}" for number in range(100_000)]))
    assert Vocabulary(single_names([f"w{number}" for number in range(MOST_LABELS)])).num_labels == MOST_LABELS


def test_names_that_the_text_tower_cuts(loaded_clip: LoadedClip) -> None:
    def check(names: list[str], labels: list[int] | None = None) -> None:
        check_names(loaded_clip.tokenizer, names, labels or list(range(len(names))), TEMPLATES["vild"])

    with pytest.warns(
        UserWarning, match="reads 77 tokens, and 1 name is longer with the templates, .*: 'a surface that"
    ):
        check(["sky", LONG])
    with pytest.warns(UserWarning, match="2 names are longer"):
        check([f"green {LONG}", f"blue {LONG}"])
    with pytest.raises(
        InputError, match=r"by which '.* green' and '.* blue' are the same; shorten them to what differs"
    ):
        check([f"{LONG} green", f"{LONG} blue"])
    with pytest.warns(UserWarning, match="2 names are longer"):
        check([f"{LONG} green", f"{LONG} blue"], [0, 0])  # synonyms
    # The last words are cut by the longer templates only: the names still differ.
    with pytest.warns(UserWarning, match="2 names are longer"):
        check(["word " * 68 + "green", "word " * 68 + "blue"])
    with pytest.raises(InputError, match="reads 'tv' and '\uff34\uff36' alike; take another word"):
        check(["tv", "\uff34\uff36"])
    check(["word " * 60 + "green", "word " * 60 + "blue"])


def test_a_segmenter_asks_the_same_of_words(loaded_clip: LoadedClip, tmp_path: Path) -> None:
    segmenter = Segmenter(loaded_clip, cache_dir=tmp_path)
    for _ in "encoded", "cached":
        with pytest.warns(UserWarning, match="1 name is longer"):
            segmenter.classifier(Vocabulary((("sky",), (LONG.strip(),))), progress=False)
    with pytest.raises(InputError, match="are the same; shorten them"):
        segmenter.classifier(Vocabulary(((f"{LONG} a",), (f"{LONG} b",))), progress=False)


PARSER = ArgumentParser(exit_on_error=False)
PARSER.add_subclass_arguments((Folder, Photos), "data")


def parsed(data: str, *options: str) -> dict[str, object]:
    arguments = with_defaults(["predict", "--config", "demo", "--data", f"datamodules.{data}", *options])
    return vars(PARSER.parse_args(arguments[3:]).data.init_args)


@settings(max_examples=40)
@given(
    st.text()
    | st.sampled_from(["null", "on", "1", "~", "# a", "a: b; c", "{a: 1}", "- a", "'a'", "-x", "2020-01-01", "[a"])
)
def test_words_arrive_as_they_are_typed(words: str) -> None:
    if words.strip().startswith("[") and words.strip().endswith("]"):
        return
    assert parsed("Photos", f"--data.words={words}", "--data.background", words) | {"images": 0} == parsed(
        "Photos", "--data.init_args.words", words, f"--data.init_args.background={words}"
    ) | {"images": 0}
    assert parsed("Photos", f"--data.words={words}")["words"] == [words]


ITEM = st.text(st.sampled_from("ab1 :#-~é'\"\\,猫\n{}[]"), min_size=1, max_size=8).filter(
    lambda text: text == text.strip()
)


@settings(max_examples=25)
@given(st.lists(ITEM, min_size=1, max_size=4))
def test_lists_in_brackets_hold_text(names: list[str]) -> None:
    typed = ["'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'" for name in names]
    for option in ("classes", "background"):
        assert parsed("Folder", f"--data.{option}", f"[{', '.join(typed)}]")[option] == names


def test_lists_in_brackets_as_people_type_them() -> None:
    assert parsed("Folder", "--data.classes", "[on, off, 1, null, a: b, # c, men's shoe]")["classes"] == [
        *("on", "off", "1", "null", "a: b", "# c", "men's shoe"),
    ]
    assert parsed("Folder", "--data.classes", "names.txt")["classes"] == Path("names.txt")
    assert parsed("Photos", "--data.words", "[cat, 'dog, hound']")["words"] == ["cat", "dog, hound"]


def test_words_of_a_configuration_are_text_or_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(scene(0, 32, 32)[0]).save(tmp_path / "a.png")
    config = tmp_path / "own.yaml"
    common = [
        "--config",
        str(config),
        "--model.clip",
        "embedded",
        *QUIET,
        "--trainer.default_root_dir",
        str(tmp_path / "out"),
    ]
    for words, status, expected in (
        ("on", 2, "words of the configuration, True, is not text: YAML takes on, off"),
        ("[cat, 1]", 2, "words of the configuration, ['cat', 1], is not text"),
        ("[cat]", 1, "the words 'cat' are one class and no background: everything becomes 'cat'"),
        ("'on'", 1, "the words 'on' are one class and no background"),
    ):
        config.write_text(f"data:\n  class_path: Photos\n  init_args: {{images: {tmp_path}, words: {words}}}\n")
        assert expected in complaint(capsys, "predict", *common, status=status)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data.words", "grass, sky, sand"], "everything becomes 'grass'; write ; between classes"),
        (["--data.words", "null"], "everything becomes 'null'"),
        (["--data.words", "/nowhere/nams.csv"], "'/nowhere/nams.csv': there is no such file"),
        (["--data.words", "[[a], b]"], "the item '[a]' holds a bracket"),
        (["--data.words", ""], "Photos needs --data.words: like 'cat, kitten; dog'"),
    ],
)
def test_words_that_cannot_be_meant(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(scene(0, 32, 32)[0]).save(tmp_path / "a.png")
    common = ["--config", "configs/photos.yaml", "--model.clip", "embedded", "--data.images", str(tmp_path), *options]
    assert message in complaint(capsys, "predict", *common, status=2 if "[[" in options[1] else 1)
