"""What this version knows of data sets, for those who check runs of other places."""

from collections.abc import Sequence

from cliptrase.cli.studies import naming_stress
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.evidence.told import Known
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.shapes_scenes import NAMES
from datamodules.spec import LabelScheme
from datamodules.specs import DATASETS


def known_data() -> Known:
    """Data sets by name, vocabularies by digest, and studies with lists of names."""
    lists = (names for spec in DATASETS.values() for names in (spec.vocabulary, *spec.vocabularies.values()))
    vocabularies = [Vocabulary(single_names(NAMES)), *lists]
    by_digest = {vocabulary.digest: vocabulary for vocabulary in vocabularies}
    return Known(_settings, by_digest, {study.name: study for study in (naming_stress(),)})


def _settings(name: str, protocol: EvaluationProtocol) -> Sequence[Setting]:
    """A data set as a protocol asks for it, once for each layout of its files."""
    spec = DATASETS.get(name)
    if spec is None:
        return []
    places = [spec, *(place for layout in spec.layouts for place in spec.in_layout(layout))]
    return [place.with_labels(LabelScheme.of(protocol)) for place in places]
