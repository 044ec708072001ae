"""The sweep of constants: every point as a protocol of its own gives it, and what is chosen on halves."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from cliptrase.clip.weights import LoadedClip
from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.intervals import estimates, influences
from cliptrase.methods import get_method
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from cliptrase.studies.base import Seen, Studied, variant
from cliptrase.studies.sweep import Chosen, Sweep, text_of
from datamodules.specs import DATASETS
from tests.kit import scene_batch

VOC21, VOC20 = DATASETS["VOC21"], DATASETS["VOC20"]
WINDOWS = get_protocol("sclip", size=80, window=48, stride=32, templates="vild")
WHOLE = get_protocol("detectron2", size=160, templates="vild", eps=0.7, min_samples=3)


@pytest.mark.parametrize(
    ("protocol", "method"),
    [(WINDOWS, "sclip"), (WINDOWS, "sclip+regions"), (WHOLE, "cliptrase")],
    ids=["windows", "windows with regions", "whole pictures"],
)
def test_every_point_is_as_a_protocol_of_its_own(
    protocol: EvaluationProtocol, method: str, loaded_clip: LoadedClip
) -> None:
    sweep = Sweep(protocol)
    segmenter = Segmenter(loaded_clip, protocol, [method])
    classifier = segmenter.classifier(VOC21.vocabulary, progress=False, setting="VOC21")
    images = scene_batch([1, 2], 120, 90)
    seen = segmenter(images, classifier, keep=sweep.remakes_regions)
    maps = sweep.prepare(segmenter, VOC21, False).label_maps(
        Seen(seen.encoded, classifier, seen.labels, torch.zeros(2, 120, 90, dtype=torch.int64))
    )
    points = sweep.points(VOC21, segmenter.methods[0])
    assert list(maps) == sweep.variants(VOC21, segmenter.methods)
    assert len(maps) == len(points) > 10
    for point in points[::5] + points[-3:]:
        own = replace(protocol.on("VOC21"), base=None, **point)
        alone = Segmenter(loaded_clip, own, [method])
        expected = alone(images, alone.classifier(VOC21.vocabulary, progress=False)).labels[method]
        assert torch.equal(maps[variant(method, text_of(point))], expected)
    assert len({tuple(labels.flatten().tolist()) for labels in maps.values()}) > 3  # the constants do something


def test_points_hold_the_authors_and_the_frozen_constants() -> None:
    sweep = Sweep(get_protocol("sclip"))
    first, frozen, *_ = sweep.points(VOC21, get_method("sclip"))
    assert first == {"logit_scale": 65, "background_threshold": 0.1, "min_area": 0.1}
    assert frozen == {"logit_scale": 40, "background_threshold": 0.1, "min_area": 0}
    # Without a background no constant of naming acts.
    assert sweep.points(VOC20, get_method("sclip")) == []


def counts(hits: list[int]) -> Counts:
    """Ten pixels of class 0 in each picture, so many of which are hit; the rest is taken for class 1."""
    pictures = torch.tensor([[[hit, 0], [10, 0], [hit, 10 - hit]] for hit in hits], dtype=torch.int32)
    total = pictures.sum(0)
    confusion = torch.tensor([[int(total[0, 0]), int(total[1, 0] - total[0, 0])], [0, 0]])
    return Counts(confusion, len(hits), pictures, [f"{number}" for number in range(len(hits))])


def test_each_half_is_scored_by_the_others_choice() -> None:
    """Pictures 0 and 2 are the first half: the second point is best there, the third on the other half."""
    points = [counts([5, 5, 5, 5]), counts([9, 1, 9, 3]), counts([2, 8, 4, 8])]
    found = Chosen(points, "detectron2")
    assert found.halves == (1, 2)
    assert found.crossed[:, 0, 0].tolist() == [2, 1, 4, 3]
    assert found.best() in (1, 2)
    assert [found.best(torch.tensor(half)) for half in ([True] * 4, [False, True, True, True])] == [1, 2]


def test_the_table_is_what_a_plain_computation_gives() -> None:
    protocol = get_protocol("sclip")
    sweep, method = Sweep(protocol), get_method("sclip")
    generator = torch.Generator().manual_seed(0)

    def drawn() -> Counts:
        return counts(torch.randint(0, 11, (6,), generator=generator).tolist())

    by_variant = {name: drawn() for name in sweep.variants(VOC21, [method])}
    studied = Studied(protocol, [method], [VOC21], {"VOC21": by_variant}, {})
    table, values = sweep.tables(studied)

    def iou(pictures: Tensor) -> float:
        """By mmseg's definition: a class that is only predicted counts 0."""
        hits = sum(int(picture[0, 0]) for picture in pictures)
        missed = sum(int(picture[1, 0] - picture[0, 0]) for picture in pictures)
        return 100 * hits / (hits + missed) / (2 if missed else 1)

    names = list(by_variant)
    pictures = {name: by_variant[name].pictures for name in names}
    best = [max(names, key=lambda name: iou(pictures[name][start::2])) for start in (0, 1)]
    crossed = torch.stack([pictures[best[1 - number % 2]][number] for number in range(6)])
    top = max(names, key=lambda name: iou(pictures[name]))
    expected = [iou(part) for part in (pictures[names[0]], pictures[names[1]], crossed, pictures[top])]
    assert [row[3] for row in table.rows] == pytest.approx(expected)
    found = influences(torch.stack([pictures[names[0]], crossed]), by_variant[names[0]].stems, "mmseg")
    assert found is not None
    difference = estimates(found)[1].difference
    assert difference is not None
    assert table.rows[2][4] == pytest.approx(difference.value)
    assert [variant("sclip", str(row[3])) for row in values.rows] == [names[0], names[1], *best, top]
