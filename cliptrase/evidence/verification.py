"""Whether a run's files agree: every figure with its counts, every hash with what it is of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cliptrase.common.errors import counted
from cliptrase.evaluation.counts import Counts
from cliptrase.evidence.findings import Finding
from cliptrase.evidence.recounting import figure_findings, read_told_counts, recounted, study_findings
from cliptrase.evidence.restudying import restudied
from cliptrase.evidence.saying import config_findings, protocol_findings, provenance_findings, table_findings
from cliptrase.evidence.told import Known, ToldSetting, told_settings
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.report.load import folder_name, read_document, results_file

_OWN_DATA = ("Folder", "Photos")
_NEVER = "whether the predictions were made as stated, by this model and method on these pictures"


@dataclass(frozen=True)
class Verification:
    """What became of checking a run.

    Attributes:
        name: of its folder.
        document: content of its `results.json`.
        findings: what is wrong.
        checked: what agrees, or was compared, in words.
        unchecked: what cannot be checked, in words.
        protocol: the run's; None where it cannot be had.
        counts: by data set and method, as far as they can be read.
        settings: the run's data sets.
    """

    name: str
    document: Mapping[str, Any]
    findings: Sequence[Finding]
    checked: Sequence[str]
    unchecked: Sequence[str]
    protocol: EvaluationProtocol | None = None
    counts: Mapping[str, Mapping[str, Counts]] = field(default_factory=dict)
    settings: Sequence[ToldSetting] = ()

    @property
    def verified(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def verdict(self) -> str:
        """One sentence: whether the run holds, what was checked, and what cannot be."""
        if not self.verified:
            number = len(self.findings)
            return f"{self.name} is not verified: {number} {'thing is' if number == 1 else 'things are'} wrong"
        return (
            f"verified: {self.name}: {'; '.join(self.checked)}. Not checked, for counts do not show it: "
            f"{'; '.join(self.unchecked)}."
        )

    def record(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "run": self.name,
            "verified": self.verified,
            "wrong": [finding.record() for finding in self.findings],
            "checked": list(self.checked),
            "unchecked": list(self.unchecked),
        }


def verify_run(path: Path, known: Known) -> Verification:
    """Recomputes every figure of a run from its counts and checks every hash; needs neither data nor model.

    Args:
        path: the run's folder, or its `results.json`.
        known: what this version knows of data sets.

    Raises:
        InputError: there is no `results.json` of this version's schema.
    """
    document = read_document(path)
    folder = results_file(path).parent
    name = folder_name(results_file(path))
    counts, findings = read_told_counts(folder, document)
    protocol, wrong = protocol_findings(document["provenance"])
    findings += wrong
    if protocol is None:
        return Verification(name, document, findings, (), (_NEVER,))
    config, of_config = config_findings(folder, document, protocol)
    settings = list(told_settings(document["settings"], protocol, known, _own_data(config)))
    made = recounted(document, counts, protocol, settings)
    unknown = [setting.name for setting in settings if not setting.known]
    findings += figure_findings(document, made, benchmarks=not unknown, protocol=not wrong)
    uncounted = [name for name in unknown if document["settings"][name]["images_expected"]]
    findings += provenance_findings(document)
    findings += of_config
    findings += study_findings(folder, document)
    unstudied, of_studies = restudied(folder, document, protocol, settings, counts, known.studies)
    findings += of_studies
    tables, of_tables = table_findings(folder, document)
    findings += of_tables
    pictures = sum(next(iter(of_methods.values())).images for of_methods in counts.values())
    files = [*(["config.yaml"] if config is not None else []), *tables]
    studied = [name for name in document["studies"] if name not in unstudied]
    numbers = f"{counted(_numbers(made['methods']), 'number')} of {counted(len(document['methods']), 'method')}"
    checked = [
        f"{numbers} follow from the counts of {counted(pictures, 'picture')} ({', '.join(counts)})",
        *([f"the tables of {', '.join(studied)} follow from their counts"] if studied else []),
        f"hashes of protocol, vocabularies and {counted(len(counts), 'file')} of counts are right",
        *([f"{', '.join(files)} {'agrees' if len(files) == 1 else 'agree'}"] if files else []),
    ]
    unnamed = [setting.name for setting in settings if not setting.named]
    unfinished = document["provenance"].get("unfinished")
    unfinished = unfinished if isinstance(unfinished, list) else []
    unchecked = [
        _NEVER,
        *([f"whether the tables of {', '.join(unstudied)} follow from their counts"] if unstudied else []),
        *([f"whether {', '.join(unnamed)} had these names, which this version does not know"] if unnamed else []),
        *([f"how many pictures {', '.join(uncounted)} should have"] if uncounted else []),
        *([f"the scores of {', '.join(map(str, unfinished))}, which the run had not finished"] if unfinished else []),
    ]
    return Verification(name, document, findings, checked, unchecked, protocol, counts, settings)


def _own_data(config: Mapping[str, Any] | None) -> bool:
    """Whether a configuration names data of the user's own."""
    data = (config or {}).get("data")
    place = data.get("class_path") if isinstance(data, Mapping) else None
    return isinstance(place, str) and place.rpartition(".")[2] in _OWN_DATA


def _numbers(value: Any) -> int:
    """How many numbers a document holds."""
    if isinstance(value, Mapping):
        return sum(map(_numbers, value.values()))
    if isinstance(value, list):
        return sum(map(_numbers, value))
    return int(isinstance(value, int | float) and not isinstance(value, bool))
