"""Methods without their parts: by name, and the pixels that change."""

from typing import Any, cast

import pytest
import torch

from cliptrase.evaluation.counts import SegmentationCounts
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.methods import METHODS, get_method, get_methods
from cliptrase.methods.parts import pairs, parts_off
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols.table import get_protocol
from cliptrase.studies.audit import Audit, PreparedAudit
from cliptrase.studies.base import Seen, Studied
from tests.cliptrase.studies.test_budget import PlantedSetting
from tests.kit import outside_methods

OUTSIDE = f"{outside_methods.__file__}:key_key"


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("gem", {}),
        ("cliptrase", {"regions": "cliptrase-regions", "denoise": "cliptrase-denoise"}),
        ("cliptrase-denoise+mean", {"regions": "cliptrase-regions"}),
        ("gem+regions", {"regions": "gem", "denoise": "gem+regions-denoise"}),
        ("gem+tlp+tlp_grid=40+pamr", {"pamr": "gem+tlp+tlp_grid=40", "tlp": "gem+pamr"}),
        ("resclip+tau_s=2+tau_r=3", {"sfr": "resclip+tau_r=3-sfr"}),
        ("resclip-sfr", {}),
    ],
)
def test_a_method_without_each_of_its_parts(spec: str, parts: dict[str, str]) -> None:
    method = get_method(spec)
    assert parts_off(spec, method) == parts
    for name in (spec, method.name):
        for part, without in parts_off(name, method).items():
            other = get_method(without)
            assert other != method
            assert [pair.part for pair in pairs([method, other]) if pair.method == method.name] == [part]


@pytest.mark.parametrize("name", METHODS)
def test_every_part_of_the_table_is_found(name: str) -> None:
    found = parts_off(name, METHODS[name])
    assert {part.name for part in METHODS[name].parts} <= found.keys()
    assert METHODS[name].regions == ("regions" in found)


def test_a_method_of_ones_own() -> None:
    spec = f"{OUTSIDE}+regions"
    found = parts_off(spec, get_method(spec))
    assert found == {"regions": OUTSIDE, "denoise": f"{spec}-denoise"}
    methods = get_methods([spec, *found.values()])
    assert [pair.part for pair in pairs(methods)] == ["regions", "denoise", "regions"]


def test_pixels_that_change_are_counted_where_the_truth_is_scored() -> None:
    methods = get_methods(["cliptrase", "cliptrase-regions"])
    truth = torch.tensor([[[0, 1, 2, 255], [-1, 3, 4, 0]], [[0, 0, 0, 0], [1, 1, 1, 255]]])
    whole = truth.clamp(0, 4)
    without = whole.clone()
    without[0, 0, 1:] = 0  # two scored pixels, and one that is not
    without[1, 1] = 4  # three, and one
    setting = cast(Setting, PlantedSetting())
    classifier = TextClassifier(torch.eye(5), torch.arange(5), 5)
    seen = Seen(cast(Any, None), classifier, {"cliptrase": whole, "cliptrase-regions": without}, truth)
    study = Audit()
    prepared = PreparedAudit(list(pairs(methods)), 5)
    counts = SegmentationCounts(study.variants(setting, methods), study.num_labels(setting))
    counts.update(prepared.label_maps(seen), prepared.truth(seen), [0, 1])
    own = SegmentationCounts([method.name for method in methods], 5)
    own.update(seen.predictions, truth, [0, 1])
    scored = ((truth >= 0) & (truth < 5)).sum()
    found = Studied(get_protocol(), methods, [setting], {"planted": counts.compute()}, {"planted": own.compute()})
    (table,) = study.tables(found)
    (row,) = table.rows
    assert row[:3] == ["planted", "cliptrase", "regions"]
    assert row[3] == pytest.approx(100 * 5 / float(scored))
    assert cast(float, row[5]) < 0
