"""MESS (Blumenstiel et al., NeurIPS 2023): 22 data sets of five domains, read where MESS's own preparation lays them.

`mess.yaml` holds the facts. MESS has no prompts for a background: "background", "others" and the like are names of
classes as any other. WorldFloods and ISPRS Potsdam are pictures of infrared, red and green, which stand for red, green
and blue, PST900 is thermal and grey: MESS's preparation writes them so, and they are read like any picture.
"""

from importlib import resources
from typing import Any

import yaml

from cliptrase.protocols.domains import DomainBenchmark
from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.spec import DatasetSpec

_FACTS: dict[str, dict[str, Any]] = yaml.load(
    resources.files("datamodules").joinpath("specs", "mess.yaml").read_text(encoding="utf-8"),
    Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),  # ten times as fast, where it is built
)


def _domains() -> dict[str, dict[str, tuple[str, ...]]]:
    domains: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, facts in _FACTS.items():
        figures = domains.setdefault(facts["domain"], {})
        figure = facts.get("figure", name)
        figures[figure] = (*figures.get(figure, ()), name)
    return domains


def _spec(name: str, facts: dict[str, Any]) -> DatasetSpec:
    beside = set(facts["beside_interest"])
    return DatasetSpec(
        name=name,
        description=f"MESS: {facts['about']}. Domain: {facts['domain']}.",
        folder=facts["folder"],
        images=(facts["images"],),
        labels=facts["labels"],
        vocabulary=Vocabulary(single_names(facts["classes"])),
        images_expected={facts["count"]: ""},
        image_suffix=facts.get("image_end", ""),
        label_suffix=facts.get("label_end", ""),
        labelled_only=facts.get("split", False),
        preparation_elsewhere=f"mess/prepare_datasets/{facts['script']}",
        benchmark=MESS,
        interest=tuple(label for label in range(len(facts["classes"])) if label not in beside),
    )


# Its evaluator's mIoU is over classes in the truth or predicted, of which the latter count 0, whatever detectron2's is.
_NOTE = "MESS's own evaluator counts a class that is predicted but not in the truth as 0, as the mmseg definition does."

MESS = DomainBenchmark("MESS", "Blumenstiel et al., NeurIPS 2023", "detectron2", _domains(), _NOTE)
SPECS = tuple(_spec(name, facts) for name, facts in _FACTS.items())
