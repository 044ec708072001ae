"""Naming stress: what other wordings of the classes and names that are not there do to a run's figures.

All vocabularies name the data set's own labels. Patches are multiplied with every name once, and a vocabulary takes
its columns of that product. A pixel that an added name takes is of no class: a miss of its truth, and nobody's false
positive.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import torch
from torch import Tensor

from cliptrase.clip.requirements import loaded_reading
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.evaluation.study_table import StudyTable
from cliptrase.inference.whole import WholePictures
from cliptrase.methods import Method
from cliptrase.ops.classification import TextClassifier
from cliptrase.segmenter import Segmenter
from cliptrase.studies.base import PreparedStudy, Seen, Studied, present_labels, variant
from cliptrase.studies.name_tables import PRESENT, added, lost, name_tables
from cliptrase.studies.wordings import (
    Synonyms,
    absent_names,
    drawn,
    first_of,
    plural,
    reworded,
    synonyms_of,
    with_article,
    with_classes,
)
from cliptrase.vocabulary import Vocabulary

STEPS = (10, 50, 200)  # absent names added
DRAWS = 5
_PROMPT = ("a photo of a {}.",)  # by which names are compared; CLIP's own (Radford et al., ICML 2021)


@dataclass(frozen=True)
class NamingStress:
    """`--stress names`: every method's mIoU by other names and with absent ones.

    Methods whose features depend on the names are left out: they would see each image once a vocabulary.

    Counts of a picture take 12 bytes a label for each of a method's some 15 variants: 2 GB for 5,104 images and 459
    labels under five methods.

    Attributes:
        synonyms: groups of names for one thing each.
        others: names of all kinds of things, from which absent ones are taken.
        draws: vocabularies of randomly drawn synonyms.
    """

    synonyms: Synonyms
    others: Sequence[str]
    draws: int = DRAWS

    name = "names"
    remakes_regions = False

    @property
    def identity(self) -> str:
        """Lists, draws and steps."""
        content = json.dumps([[list(group) for group in self.synonyms], list(self.others)], ensure_ascii=False)
        digest = hashlib.sha256(content.encode()).hexdigest()[:16]
        return f"names: {self.draws} draws of synonyms, {', '.join(map(str, STEPS))} absent names, lists {digest}"

    def vocabularies(self, setting: Setting) -> dict[str, Vocabulary]:
        """By name other names for the same labels, without those that are the data set's own over again."""
        own = setting.vocabulary
        found = {f"list {name}": one for name, one in self._lists(setting).items()} | _forms(own)
        first = {one.digest: name for name, one in reversed(found.items())} | {own.digest: ""}
        found = {name: one for name, one in found.items() if first[one.digest] == name}
        synonyms = self._synonyms(setting)
        if any(len(names) > 1 for names in synonyms):
            for number in range(1, self.draws + 1):
                found[f"synonyms {number}"] = with_classes(own, drawn(synonyms, number))
        return found

    def notes(self, setting: Setting) -> list[str]:
        """What of a data set could not be varied."""
        same = [name for name, one in _forms(setting.vocabulary).items() if one.digest == setting.vocabulary.digest]
        notes = [f"{setting.name}: {' and '.join(same)} are the run's own names."] if same else []
        if all(len(names) < 2 for names in self._synonyms(setting)):
            notes.append(f"{setting.name}: no synonym is known.")
        return notes

    def steps(self, setting: Setting) -> list[int]:
        """How many absent names are added: as many as there are at most."""
        number = len(self._absent(setting))
        return [step for step in STEPS if step <= number]

    def _lists(self, setting: Setting) -> dict[str, Vocabulary]:
        """The data set's further lists of the same labels."""
        own = setting.vocabulary
        return {
            name: one
            for name, one in setting.vocabularies.items()
            if (len(one.classes), one.background_index) == (len(own.classes), own.background_index)
        }

    def _synonyms(self, setting: Setting) -> tuple[tuple[str, ...], ...]:
        return synonyms_of(setting.vocabulary, self._lists(setting), self.synonyms)

    def _absent(self, setting: Setting) -> list[str]:
        return absent_names(self.others, setting.vocabulary, self._synonyms(setting))

    def variants(self, setting: Setting, methods: Sequence[Method]) -> list[str]:
        """For each method its vocabularies, and with absent names also what these take."""
        names = [*self.vocabularies(setting), PRESENT]
        names += [kind(step) for step in self.steps(setting) for kind in (added, lost)]
        return [variant(method.name, name) for method in nameable(methods) for name in names]

    def num_labels(self, setting: Setting) -> int:
        """Those of the vocabulary, and one for pixels that an absent name takes."""
        return setting.vocabulary.num_labels + 1

    def prepare(self, segmenter: Segmenter, setting: Setting, progress: bool) -> "PreparedNames":
        """Encodes every name of every vocabulary once, and finds the absent names that are most like the classes'."""
        own = segmenter.classifier(setting.vocabulary, setting.class_token_weighting, progress, setting.name)
        vocabularies = self.vocabularies(setting)
        for vocabulary in vocabularies.values():
            segmenter.check_names(vocabulary)
        steps = self.steps(setting)
        absent = self._nearest(segmenter, setting, max(steps), progress) if steps else []
        # Those of the run's own come first and are its own embeddings, so that they name as they did there.
        further = dict.fromkeys([*(name for one in vocabularies.values() for name in one.names), *absent])
        others = [name for name in further if name not in set(setting.vocabulary.names)]
        parts = [own.embeddings, *([segmenter.embeddings(others, progress=progress)] if others else ())]
        text, names = torch.cat(parts), [*setting.vocabulary.names, *others]
        choices = {"": Choice.of(setting.vocabulary.names, own.name_to_label, own, text, names)}
        for name, one in vocabularies.items():
            labels = torch.tensor(one.name_to_label, device=text.device)
            choices[name] = Choice.of(one.names, labels, own, text, names)
        choices |= {added(step): choices[""].with_absent(absent[:step], text, names) for step in steps}
        return PreparedNames(segmenter.methods, text, choices, steps)

    def _nearest(self, segmenter: Segmenter, setting: Setting, number: int, progress: bool) -> list[str]:
        """The absent names whose embedding is most like that of any of the vocabulary's names."""
        # All of the list are encoded, though some are the vocabulary's: so are they once for all data sets.
        others = segmenter.embeddings(self.others, _PROMPT, progress)
        own = segmenter.embeddings(setting.vocabulary.names, _PROMPT, progress)
        likeness = dict(zip(self.others, (others @ own.T).amax(1).tolist(), strict=True))
        return sorted(self._absent(setting), key=lambda name: -likeness[name])[:number]

    def tables(self, studied: Studied) -> list[StudyTable]:
        """MIoU by vocabulary, random synonyms, absent names, and methods' ranks."""
        methods = [method.name for method in nameable(studied.methods)]
        left_out = [method.name for method in studied.methods if method.name not in methods]
        vocabularies = {setting.name: list(self.vocabularies(setting)) for setting in studied.settings}
        steps = {setting.name: self.steps(setting) for setting in studied.settings}
        notes = [note for setting in studied.settings for note in self.notes(setting)]
        return name_tables(studied, methods, left_out, vocabularies, steps, notes)


def _forms(own: Vocabulary) -> dict[str, Vocabulary]:
    """The same names in other forms."""
    return {
        "first names": with_classes(own, [(first_of(names[0]),) for names in own.classes]),
        "plurals": reworded(own, plural),
        "with the article": reworded(own, with_article),
    }


def nameable(methods: Sequence[Method]) -> list[Method]:
    """Methods whose features do not depend on the names."""
    return [method for method in methods if not loaded_reading(method).text]


@dataclass(frozen=True)
class Choice:
    """A vocabulary as columns of the product of patches with all names.

    Attributes:
        columns: (C,) int64.
        classifier: of its names.
    """

    columns: Tensor
    classifier: TextClassifier

    @classmethod
    def of(
        cls, chosen: Sequence[str], labels: Tensor, own: TextClassifier, text: Tensor, names: Sequence[str]
    ) -> "Choice":
        """A vocabulary of the same labels as the run's own.

        Args:
            chosen: C of the names.
            labels: (C,) label of each.
            own: the run's classifier.
            text: (U, E) embeddings.
            names: U of them; of equal ones the last counts.
        """
        place = {name: number for number, name in enumerate(names)}
        columns = torch.tensor([place[name] for name in chosen], device=text.device)
        return cls(columns, replace(own, embeddings=text[columns], name_to_label=labels))

    def same_as(self, other: "Choice") -> bool:
        """Whether both are the same names for the same labels."""
        labels = self.classifier.name_to_label, other.classifier.name_to_label
        return torch.equal(self.columns, other.columns) and torch.equal(*labels)

    def with_absent(self, absent: Sequence[str], text: Tensor, names: Sequence[str]) -> "Choice":
        """The same with further names, each of a label of its own, as if they were classes."""
        further = Choice.of(absent, self.classifier.name_to_label, self.classifier, text, names).columns
        columns, first = torch.cat([self.columns, further]), self.classifier.num_labels
        labels = torch.cat([self.classifier.name_to_label, first + torch.arange(len(absent), device=text.device)])
        classifier = replace(
            self.classifier, embeddings=text[columns], name_to_label=labels, num_labels=first + len(absent)
        )
        return Choice(columns, classifier)


class PreparedNames(PreparedStudy):
    """The vocabularies of one data set.

    Args:
        methods: of the run.
        text: (U, E) embeddings of every name of every vocabulary.
        choices: by vocabulary, "" being the run's own.
        steps: numbers of absent names.
    """

    def __init__(self, methods: Sequence[Method], text: Tensor, choices: Mapping[str, Choice], steps: Sequence[int]):
        self.methods = {method.name: method for method in nameable(methods)}
        self.text, self.choices, self.steps = text, choices, steps

    def truth(self, seen: Seen) -> Tensor:
        """The labels of the vocabulary: the one for absent names is none, though maps may hold it as not scored."""
        return seen.labels.masked_fill(seen.labels >= seen.classifier.num_labels, -1)

    def label_maps(self, seen: Seen) -> Mapping[str, Tensor]:
        """Label maps by every vocabulary, made one after the other as they are asked for."""
        num_labels, own = seen.classifier.num_labels, self.choices[""]
        there = present_labels(seen)
        taken_by_none = torch.nn.functional.pad(there, (0, 1))  # (B, C + 1)
        image = torch.arange(len(there), device=there.device).view(-1, 1, 1)

        @lru_cache(1)
        def products(method: Method) -> Tensor | None:
            # Windows are named tile by tile, where each vocabulary's maps cost more than the product.
            return seen.encoded.logits(method, self.text) if isinstance(seen.encoded, WholePictures) else None

        @lru_cache(1)
        def named(method: str, name: str) -> Tensor:
            choice = self.choices.get(name, own)
            present = there if name == PRESENT else None
            if present is None and choice.same_as(own):
                return seen.predictions[method]
            on_setting = self.methods[method].on(seen.classifier.setting)
            with torch.autocast(there.device.type, enabled=False):
                product = products(on_setting)
                if product is None or not isinstance(seen.encoded, WholePictures):
                    maps = seen.encoded.labels(on_setting, choice.classifier, present)
                else:
                    columns = product.index_select(1, choice.columns)
                    maps = seen.encoded.labels(on_setting, choice.classifier, present, columns)
            return maps.clamp_max(num_labels)

        def taken(method: str, step: int) -> Tensor:
            mine = seen.predictions[method]
            absent = ~taken_by_none[image, named(method, added(step))]
            return mine.masked_fill((mine == seen.labels) & absent, num_labels)

        makers: dict[str, Callable[[], Tensor]] = {}
        for method in self.methods:
            absent = [added(step) for step in self.steps]
            for name in [*(name for name in self.choices if name not in ("", *absent)), PRESENT]:
                makers[variant(method, name)] = partial(named, method, name)
            for step in self.steps:
                makers[variant(method, added(step))] = partial(named, method, added(step))
                makers[variant(method, lost(step))] = partial(taken, method, step)
        return MadeOnDemand(makers)


class MadeOnDemand(Mapping[str, Tensor]):
    """Label maps that are made when they are asked for, so that no more than a few are held.

    Args:
        makers: by name.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Tensor]]) -> None:
        self.makers = makers

    def __getitem__(self, name: str) -> Tensor:
        return self.makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)
