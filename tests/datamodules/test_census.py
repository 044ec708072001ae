"""What the label maps hold is counted as it is scored, said in one line, and doubted where it hardly can be meant."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules import COCO80, COCO171, VOC20, VOC21, COCOObject, DataError, Folder, Geometry
from datamodules.census import Census, count_values
from datamodules.checks import check_pairs
from datamodules.dataset import SegmentationDataset, Source
from datamodules.pairs import find_pairs
from datamodules.spec import DatasetSpec, LabelScheme
from tests.kit import save_labels, scene, write_detectron2_tree

OWN = DatasetSpec("Own", "", (), "", Vocabulary(single_names(["grass", "sky", "sand"])))


class Maps(SegmentationDataset):
    """Label maps in memory."""

    def __init__(self, spec: DatasetSpec, maps: list[np.ndarray]) -> None:
        super().__init__(spec, Geometry("whole_image", 8, 8))
        self.maps = maps

    def __len__(self) -> int:
        return len(self.maps)

    def digest(self) -> str:
        return ""

    def read(self, index: int) -> Source:
        return Source(np.zeros((*self.maps[index].shape, 3), np.uint8), self.maps[index], str(index))


def census(spec: DatasetSpec, *maps: object) -> Census:
    counted = Census(spec)
    for values in maps:
        counted.add(count_values(np.asarray(values, dtype=np.uint8)))
    return counted


@pytest.mark.parametrize("size", [(9, 11), (8, 11)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_values_are_counted(dtype: type, size: tuple[int, int]) -> None:
    labels = np.random.default_rng(0).choice([0, 3, 7, 255], size).astype(dtype)
    assert count_values(labels) == {value: int((labels == value).sum()) for value in np.unique(labels).tolist()}


@settings(max_examples=40)
@given(
    st.sampled_from([OWN, COCO80.spec, COCO171.spec, VOC20.spec, VOC21.spec]),
    st.sampled_from([0, 1, 2]),
    st.lists(st.lists(st.integers(0, 255), min_size=4, max_size=4), min_size=1, max_size=3),
)
def test_pixels_by_label_are_those_that_the_data_set_gives(
    spec: DatasetSpec, offset: int, rows: list[list[int]]
) -> None:
    spec = replace(spec, label_offset=offset)
    maps = [np.array(row, np.uint8).reshape(2, 2) for row in rows]
    counted, given_ = census(spec, *maps), Maps(spec, maps)
    labels = [given_[index].labels for index in range(len(maps))]
    found = np.concatenate([one.numpy().ravel() for one in labels if one is not None])
    assert counted.labels == {int(label): int((found == label).sum()) for label in np.unique(found[found >= 0])}
    assert counted.unscored == pytest.approx(float((found < 0).mean()))
    assert counted.empty == sum(bool((one < 0).all()) for one in labels if one is not None)


def test_one_line_says_what_is_there() -> None:
    assert census(OWN, [[0, 1], [2, 2]]).sentence() == "Own: 1 picture; all pixels are scored; every class occurs"
    assert census(OWN, [[0, 255], [0, 0]], [[255, 255]]).sentence() == (
        "Own: 2 pictures; 50 % of the pixels are not scored; 1 label map with nothing to score; 2 of 3 classes never "
        "occur: 'sky', 'sand'"
    )
    many = replace(OWN, vocabulary=Vocabulary(single_names([f"n{number}" for number in range(9)])))
    assert (
        census(many, [[0, 0]])
        .sentence()
        .endswith("8 of 9 classes never occur: 'n1', 'n2', 'n3', 'n4', 'n5' and 3 more")
    )


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(DataError, match="Own: there is nothing to score, for 2 label maps hold nothing but 255, which"):
        census(OWN, [[255, 255]], [[255]]).require_labels()
    with pytest.raises(DataError, match="1 label map holds nothing but 0, 255, which"):
        census(replace(OWN, label_offset=1), [[255, 0]]).require_labels()
    census(VOC21.spec, [[255]]).require_labels()  # scored as background


@pytest.mark.parametrize("vocabulary", ["sclip", "sfp", "proxyclip"])
def test_a_class_that_no_pixel_becomes_is_named(vocabulary: str) -> None:
    found = census(COCOObject.spec.with_labels(LabelScheme(vocabulary)), [[0, 1, 80]])
    assert found.sentence().endswith(
        "; no pixel becomes 'bed', a background prompt too, which the released codes prefer"
    )
    assert found.doubts() == []
    assert "becomes" not in census(COCOObject.spec, [[0, 1, 80]]).sentence()


@pytest.mark.parametrize(
    ("spec", "maps", "doubts"),
    [
        (OWN, [[0, 1, 2, 255]], []),
        (
            OWN,
            [[0, 0, 0, 1]],
            ["value 0, which is 'grass', covers most of 1 of 1 label maps; if 0 stands for background"],
        ),
        (OWN, [[0, 0, 0, 1], [1, 1, 2, 2]], []),  # most of one, not of nearly all
        (
            OWN,
            [[255, 255, 255, 0]],
            ["value 255 covers most of 1 of 1 label maps and is not scored, while 'sky', 'sand'"],
        ),
        (OWN, [[0, 0, 255], [1, 255, 2]], []),
        (
            OWN,
            [[255, 255, 255, 0]] * 9 + [[1, 2, 2, 2]],
            ["value 255 covers most of 9 of 10 label maps and is not scored; if"],
        ),
        (
            replace(OWN, vocabulary=Vocabulary(single_names(["other", "cat"]), ("wall",), 0)),
            [[0, 0, 1, 2]],
            [],  # 0 is the background, as said
        ),
        (replace(OWN, label_offset=1), [[0, 0, 0, 1]], ["value 0 covers most of 1 of 1 label maps and is not scored"]),
        (replace(OWN, ignore_label=1), [[0, 1, 2, 2]], ["1 is the value that is not scored and the label of 'sky'"]),
        (
            replace(OWN, vocabulary=Vocabulary((("cat",),))),
            [[0, 0]],
            ["one class and no background, so that every pixel is 'cat' and the score is 100"],
        ),
        (VOC20.spec, [[255, 255, 255, 0]], []),  # as published
    ],
)
def test_doubts(spec: DatasetSpec, maps: list[list[int]], doubts: list[str]) -> None:
    found = census(spec, *maps).doubts()
    assert len(found) == len(doubts)
    for sentence, part in zip(found, doubts, strict=True):
        assert sentence.startswith(f"{spec.name}: ")
        assert part in sentence


def test_masks_of_0_and_255_with_small_things_are_doubted_too() -> None:
    (doubt,) = census(OWN, [[0, 0, 0, 255]], [[0, 0, 255]]).doubts()[1:]
    assert (
        "besides one class the label maps hold nothing but 255, which is not scored, while 'sky', 'sand' never occur;"
        in doubt
    )
    assert "(a mask of 0 and 255: 0 and 1)" in doubt


def test_files_are_counted_while_they_are_checked(tmp_path: Path) -> None:
    root = write_detectron2_tree(tmp_path, VOC20.spec) / VOC20.spec.folder
    pairs = find_pairs(root / VOC20.spec.images[0], root / VOC20.spec.labels, VOC20.spec)
    counted = check_pairs(pairs, VOC20.spec, progress=False)
    assert counted.maps == len(pairs) == counted.holding[255]
    assert sum(counted.pixels.values()) > sum(counted.labels.values()) > 0


def folder(tmp_path: Path, labels: np.ndarray, classes: list[str] | Path, **options: object) -> Folder:
    (tmp_path / "image").mkdir(exist_ok=True)
    save_labels(tmp_path / "gt" / "a.png", labels)
    Image.fromarray(scene(0, *labels.shape)[0]).save(tmp_path / "image" / "a.png")
    return Folder(classes, root=tmp_path, num_workers=0, **options)  # type: ignore[arg-type]


def test_an_ignore_value_that_is_a_label_must_be_given(tmp_path: Path) -> None:
    labels = np.arange(300, dtype=np.uint16).reshape(15, 20)
    names = [f"thing {number}" for number in range(300)]
    with pytest.raises(
        DataError, match=r"names 300 classes, so that 255 is the label of 'thing 255', .* `ignore_label`"
    ):
        folder(tmp_path, labels, names).setup("test")
    folder(tmp_path, labels, names).setup("predict")
    for value, scored in ((65535, 300), (-1, 300), (255, 299)):
        given_ = folder(tmp_path, labels, names, ignore_label=value)
        counted = check_pairs(given_.pairs(given_.spec, with_labels=True), given_.spec, progress=False)
        assert len(counted.labels) == scored
        assert bool(counted.doubts()) == (value == 255)


def test_a_list_may_name_the_background_where_it_is(tmp_path: Path) -> None:
    labels = np.zeros((4, 4), np.uint8)
    for names, index in (
        (["background", "sky", "apple"], 0),
        (["sky", "apple", "_background_"], 2),
        (["sky", "void"], 1),
    ):
        vocabulary = folder(tmp_path, labels, names, background_index=index).spec.vocabulary
        assert vocabulary.num_labels == len(names)
        assert vocabulary.background_index == index
        assert vocabulary.background == (("void",) if "void" in names else ("background",))
        assert [name for name in vocabulary.label_names if name != "background"] == [
            name for place, name in enumerate(names) if place != index
        ]
    for options in ({"background_index": 1}, {"background": "wall"}):
        with pytest.raises(DataError, match=r"names the background already \(line 1: 'Background'\)"):
            folder(tmp_path, labels, ["Background", "sky", "apple"], **options)
    with pytest.warns(UserWarning, match=r"holds 'unlabeled' \(line 1\), which is scored like any class"):
        folder(tmp_path, labels, ["unlabeled", "sky"])
    assert folder(tmp_path, labels, ["sky"], background="wall; floor").spec.vocabulary.background == ("wall", "floor")


def test_numbers_of_a_list_must_be_those_of_the_maps(tmp_path: Path) -> None:
    labels, names = np.ones((4, 4), np.uint8), tmp_path / "names.txt"
    names.write_text("1: sky\n2: apple\n")
    with pytest.raises(DataError, match=r"counts its classes from 1: add `label_offset` 1 if the label maps do so too"):
        folder(tmp_path, labels, names)
    for both in ({"label_offset": 1, "background_index": 0}, {"label_offset": 2}, {"background_index": 1}):
        with pytest.raises(DataError, match=r"counts its classes from 1: .* but not both"):
            folder(tmp_path, labels, names, **both)
    for options in ({"label_offset": 1}, {"background_index": 0}):
        vocabulary = folder(tmp_path, labels, names, **options).spec.vocabulary
        assert vocabulary.classes == (("sky",), ("apple",))
    names.write_text("1: background\n2: apple\n")  # the list counts the background too
    assert folder(tmp_path, labels, names, label_offset=1, background_index=0).spec.vocabulary.classes == (("apple",),)
    with pytest.raises(DataError, match="but not both"):
        folder(tmp_path, labels, names, background_index=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_offset": 3_000_000_000}, r"`label_offset` 3000000000 is not in 0\.\.65535"),
        ({"label_offset": -1}, r"`label_offset` -1 is not in 0\.\.65535"),
        ({"ignore_label": 3_000_000_000}, "`ignore_label` 3000000000 has more than 32 bits"),
    ],
)
def test_numbers_that_no_label_map_holds(options: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        folder(tmp_path, np.zeros((4, 4), np.uint8), ["sky", "apple"], **options)
