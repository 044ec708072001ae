"""Names, synonyms, background, and how they name_to_label to labels."""

import itertools

import pytest

from cliptrase.common.errors import InputError
from cliptrase.vocabulary import Vocabulary, single_names

CLASSES = (("cat", "kitten"), ("dog",), ("sky", "cloud", "air"))


def test_without_background() -> None:
    vocabulary = Vocabulary(CLASSES)
    assert vocabulary.names == ("cat", "kitten", "dog", "sky", "cloud", "air")
    assert vocabulary.name_to_label == (0, 0, 1, 2, 2, 2)
    assert vocabulary.num_labels == 3
    assert vocabulary.background_index is None
    assert vocabulary.label_names == ("cat", "dog", "sky")


@pytest.mark.parametrize(
    ("label", "name_to_label", "names"),
    [
        (None, (0, 0, 1, 2, 2, 2, 3, 3), ("cat", "dog", "sky", "background")),
        (3, (0, 0, 1, 2, 2, 2, 3, 3), ("cat", "dog", "sky", "background")),
        (0, (1, 1, 2, 3, 3, 3, 0, 0), ("background", "cat", "dog", "sky")),
        (1, (0, 0, 2, 3, 3, 3, 1, 1), ("cat", "background", "dog", "sky")),
    ],
)
def test_background_at_any_label(label: int | None, name_to_label: tuple[int, ...], names: tuple[str, ...]) -> None:
    vocabulary = Vocabulary(CLASSES, ("wall", "wall"), label)
    assert vocabulary.names[-2:] == ("wall", "wall")
    assert vocabulary.name_to_label == name_to_label
    assert vocabulary.label_names == names
    assert vocabulary.num_labels == 4
    assert vocabulary.background_index == (3 if label is None else label)
    assert {vocabulary.background_index, *vocabulary.class_labels} == set(range(4))


@pytest.mark.parametrize("label", [None, 0])
def test_a_released_name_of_a_class_and_the_background_is_the_backgrounds(label: int | None) -> None:
    """The first of equals wins in the released codes, whose background is first; the class keeps other synonyms."""
    vocabulary = Vocabulary(CLASSES, ("wall", "DOG", "cloud"), label, as_released=True)
    background = vocabulary.background_index
    cat, dog, sky = vocabulary.class_labels
    assert vocabulary.names == ("cat", "kitten", "dog", "sky", "cloud", "air", "wall", "DOG", "cloud")
    assert vocabulary.name_to_label == (cat, cat, background, sky, background, sky, *[background] * 3)
    assert vocabulary.label_names[dog] == "dog"
    assert Vocabulary(CLASSES, as_released=True).name_to_label == (0, 0, 1, 2, 2, 2)


def test_digests_differ_for_whatever_differs() -> None:
    some = [
        Vocabulary(CLASSES),
        Vocabulary(CLASSES[::-1]),
        Vocabulary((("cat",), ("kitten",), ("dog",), ("sky", "cloud", "air"))),
        Vocabulary(CLASSES, ("wall",)),
        Vocabulary(CLASSES, ("wall", "wall")),
        Vocabulary(CLASSES, ("wall",), 0),
        Vocabulary((*CLASSES, ("wall",))),
    ]
    for one, other in itertools.combinations(some, 2):
        assert one.digest != other.digest
    assert Vocabulary(CLASSES, ("wall",)).digest == Vocabulary(CLASSES, ("wall",), 3).digest
    assert Vocabulary((("Straße",),)).digest != Vocabulary((("Strasse",),)).digest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((),), "holds no class: give at least one name"),
        (((("cat",), ()),), "class 1 of the vocabulary has an empty name"),
        (((("cat", " "),),), "class 0 of the vocabulary has an empty name"),
        ((CLASSES, ("wall",), 4), r"background label 4 is not in 0\.\.3"),
        ((CLASSES, ("wall",), -1), r"background label -1 is not in 0\.\.3"),
        ((CLASSES, (), 0), "a background label needs background prompts"),
    ],
)
def test_errors(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Vocabulary(*arguments)


def test_single_names() -> None:
    assert single_names(["building, edifice", "sky"]) == (("building, edifice",), ("sky",))
