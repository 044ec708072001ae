"""Other wordings of a vocabulary: what is drawn, what stays, which names are of no class."""

import pytest

from cliptrase.cli.studies import naming_stress
from cliptrase.studies.wordings import absent_names, drawn, folded, plural, reworded, synonyms_of, with_classes
from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.spec import DatasetSpec, shipped_synonyms
from datamodules.specs import DATASETS

SMALL = Vocabulary((("boat",), ("road, route",), ("cup",)), ("sky",))


def test_synonyms_are_of_one_class_and_of_no_background() -> None:
    lists = {"mine": Vocabulary((("ship", "vessel"), ("road",), ("cup", "sky")), ("sky",), as_released=True)}
    groups = [("boat", "yacht", "street"), ("route", "street", "way"), ("cup", "mug", "cups")]
    assert synonyms_of(SMALL, lists, groups) == (
        ("boat", "ship", "vessel", "yacht"),
        ("road, route", "road", "route", "way"),
        ("cup", "mug"),
    )


def test_draws_are_seeded_and_come_to_every_name() -> None:
    names = (("boat", "ship", "vessel"), ("cup",))
    assert drawn(names, 3) == drawn(names, 3)
    assert {drawn(names, seed)[0][0] for seed in range(30)} == {"boat", "ship", "vessel"}
    assert {drawn(names, seed)[1] for seed in range(30)} == {("cup",)}


def test_a_form_that_is_another_class_stays_as_it_was() -> None:
    """Of COCO's "glass" and "glasses", say, none may become the other."""
    vocabulary = Vocabulary(single_names(["glass", "glasses", "person", "people"]))
    assert reworded(vocabulary, plural).names == ("glass", "glasses", "person", "people")
    assert with_classes(SMALL, [("sky",), ("way",), ("Cup",)]).names == ("boat", "way", "Cup", "sky")


def test_absent_names_are_no_names_no_synonyms_and_no_kinds_of_them() -> None:
    others = ["Boats", "vessel, ship", "rowing boat", "boat house", "sky", "boathouse", "blue sky, heaven", "fork"]
    assert absent_names(others, SMALL, synonyms_of(SMALL, {}, [("boat", "ship")])) == ["boat house", "fork"]


@pytest.mark.parametrize("spec", [spec for spec in DATASETS.values() if not spec.benchmark], ids=lambda spec: spec.name)
def test_all_forms_of_a_published_vocabulary_are_vocabularies_of_its_labels(spec: DatasetSpec) -> None:
    """And 200 names are left that are of no class, but on the vocabularies that hold nearly all."""
    study = naming_stress()
    for name, vocabulary in study.vocabularies(spec).items():
        same = vocabulary.num_labels, vocabulary.background_index, len(vocabulary.classes)
        assert same == (spec.vocabulary.num_labels, spec.vocabulary.background_index, len(spec.vocabulary.classes))
        assert vocabulary.digest != spec.vocabulary.digest or name.startswith("synonyms")
    assert study.steps(spec) == ([10, 50, 200] if spec.name != "ADEfull" else [10, 50])


def test_our_synonyms_name_each_thing_once() -> None:
    names = [folded(name) for group in shipped_synonyms("synonyms") for name in group]
    assert len(names) == len(set(names))
