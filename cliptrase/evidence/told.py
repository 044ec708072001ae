"""A run's data sets and protocol as its `results.json` tells them, ready to be scored anew."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from cliptrase.common.errors import InputError
from cliptrase.evaluation.conditions import Conditions, Extent, Guest, Model
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.protocols.domains import DomainBenchmark
from cliptrase.protocols.protocol import FIELDS, EvaluationProtocol
from cliptrase.protocols.table import get_protocol, rows_named
from cliptrase.studies.base import Study
from cliptrase.vocabulary import BACKGROUND, Vocabulary, single_names


class Known(NamedTuple):
    """What this version knows of data sets.

    Attributes:
        settings: a data set's by its name under a protocol, once for each layout of its files; none for an unknown one.
        vocabularies: by digest.
        studies: by name those that hold lists of names.
    """

    settings: Callable[[str, EvaluationProtocol], Sequence[Setting]]
    vocabularies: Mapping[str, Vocabulary]
    studies: Mapping[str, Study] = MappingProxyType({})


@dataclass(frozen=True)
class ToldSetting:
    """A data set that was scored elsewhere; see `scoreboard.Setting`.

    Attributes:
        known: whether this version knows the data set.
        named: whether the names of its labels are sure: their digest is known, or follows from them.
    """

    name: str
    vocabulary: Vocabulary
    expected_counts: tuple[int, ...]
    edition_text: str
    vocabularies: Mapping[str, Vocabulary] = field(default_factory=dict)
    benchmark: DomainBenchmark | None = None
    interest: Sequence[int] = ()
    class_token_weighting: bool = False
    known: bool = False
    named: bool = False


class _Unknown(Vocabulary):
    """A vocabulary of which only the digest and the labels' names are told."""

    def __init__(self, digest: str, label_names: tuple[str, ...]) -> None:
        self.__dict__.update(digest=digest, label_names=label_names, num_labels=len(label_names))


def told_protocol(values: Mapping[str, Any]) -> EvaluationProtocol:
    """The protocol of `provenance.protocol`, with the label that stands there where its values can have it.

    Raises:
        InputError: a field is missing or unknown, or holds a value that cannot be.
    """
    plain = {name: value for name, value in values.items() if name not in ("label", "hash")}
    if missing := [name for name in FIELDS if name not in plain]:
        raise InputError(f"protocol.{missing[0]} is missing")
    protocol = get_protocol(plain)
    # Which row the values were made from is told by the label alone.
    changed = (replace(protocol, base=row.values()) for row in rows_named(protocol.name))
    return next((one for one in (protocol, *changed) if one.label == values.get("label")), protocol)


def told_settings(
    settings: Mapping[str, Mapping[str, Any]], protocol: EvaluationProtocol, known: Known, own_data: bool
) -> Iterator[ToldSetting]:
    """A run's data sets, with all that this version knows of them.

    Args:
        settings: of `results.json`.
        protocol: of the run.
        known: data sets and vocabularies.
        own_data: whether the run's data are a user's own, whatever they are called.
    """
    for name, result in settings.items():
        vocabulary, named = _vocabulary(result, known)
        expected, edition = tuple(result["images_expected"] or ()), result["edition"]
        places = known.settings(name, protocol)
        if not places or (own_data and not expected):
            lists = {"released": vocabulary}
            yield ToldSetting(name, vocabulary, expected, edition, lists, named=named)
            continue
        place = next((one for one in places if one.expected_counts == expected), places[0])
        lists, counts = dict(place.vocabularies), place.expected_counts
        about = place.benchmark, place.interest, place.class_token_weighting
        yield ToldSetting(name, vocabulary, counts, edition, lists, *about, known=True, named=named)


def told_conditions(settings: Mapping[str, Mapping[str, Any]], provenance: Mapping[str, Any]) -> Conditions:
    """Model, guest and extents of a run, from which remarks follow."""
    model = provenance.get("model") or {}
    guest = model.get("guest")
    extents = {name: Extent(result["images_available"], result["cut"] or "") for name, result in settings.items()}
    return Conditions(
        Model(str(model.get("clip")), model.get("pretrained"), str(model.get("activation"))),
        extents,
        Guest(guest["name"], guest["architecture"]) if guest else None,
    )


def _vocabulary(result: Mapping[str, Any], known: Known) -> tuple[Vocabulary, bool]:
    """The vocabulary of a digest, and whether its labels' names are sure."""
    digest, names = result["vocabulary_hash"], tuple(row["name"] for row in result["per_class"])
    if digest in known.vocabularies:
        return known.vocabularies[digest], True
    for plain in _plain_vocabularies(names):
        if plain.digest == digest:
            return plain, True
    return _Unknown(digest, names), False


def _plain_vocabularies(names: Sequence[str]) -> Iterator[Vocabulary]:
    """Vocabularies of one name a class that labels of these names may have, with and without a background."""
    classes = tuple(name for name in names if name != BACKGROUND)
    with suppress(InputError):
        yield Vocabulary(single_names(names))
    if len(classes) == len(names) - 1:
        with suppress(InputError):
            yield Vocabulary(single_names(classes), (BACKGROUND,), names.index(BACKGROUND))
