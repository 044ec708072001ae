"""Figures of benchmarks that average by domain, from counts made by hand."""

import math

import pytest
import torch
from torch import Tensor

from cliptrase.evaluation.domains import Counted, benchmark_results, domain_scores
from cliptrase.evaluation.intervals import estimates, influences, of_average
from cliptrase.metrics import margins, mean_iou
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.protocols.domains import DomainBenchmark

ROOMS = DomainBenchmark(
    "Rooms",
    "a paper",
    "detectron2",
    {"Home": {"Kitchen": ("Kitchen",), "Bed": ("Bed-1", "Bed-2")}, "Work": {"Desk": ("Desk",)}},
)


def pictures(seed: int, classes: int, count: int = 5) -> Tensor:
    """(M, P, 3, C) hits, truth and predicted pixels of two methods on the same pictures."""
    generator = torch.Generator().manual_seed(seed)
    confusions = torch.randint(0, 9, (2, count, classes, classes), generator=generator)
    truth = confusions[:1].sum(-1)
    hits = torch.minimum(confusions.diagonal(dim1=-2, dim2=-1), truth)
    return torch.stack([hits, truth.expand_as(hits), hits + confusions.sum(-2)], 2)


def counted(counts: Tensor, interest: tuple[int, ...], stem: str = "") -> Counted:
    stems = [f"{stem}{number}" for number in range(counts.shape[1])]
    return Counted(counts.sum(1), interest, counts.shape[1], influences(counts, stems, "detectron2"))


COUNTS = {"Kitchen": pictures(0, 4), "Bed-1": pictures(1, 2), "Bed-2": pictures(2, 2), "Desk": pictures(3, 3)}
INTEREST = {"Kitchen": (1, 3), "Bed-1": (1,), "Bed-2": (1,), "Desk": (0, 1, 2)}


def test_scores_of_leading_axes_are_those_of_each() -> None:
    pixels = torch.stack([COUNTS["Bed-1"].sum(1), COUNTS["Bed-2"].sum(1)])  # (2, M, 3, C)
    for definition in DEFINITIONS:
        together = domain_scores(pixels, (1,), definition)
        for place in range(2):
            for method in range(2):
                alone = domain_scores(pixels[place, method], (1,), definition)
                assert [float(score[place, method]) for score in together] == [float(score) for score in alone]


def test_classes_of_interest_that_do_not_occur() -> None:
    """Neither definition gives a score of them but where one is predicted; no truth gives none at all."""
    confusion = torch.tensor([[6, 2, 0], [0, 0, 0], [0, 0, 0]])
    assert math.isnan(float(mean_iou(*margins(confusion), "detectron2", [1, 2])))
    assert float(mean_iou(*margins(confusion), "mmseg", [1, 2])) == 0
    assert math.isnan(float(mean_iou(*margins(confusion), "mmseg", [2])))
    assert math.isnan(float(mean_iou(*margins(confusion * 0), "released", [0])))


def test_means_are_over_figures_and_parts_are_one() -> None:
    found = benchmark_results(ROOMS, {name: counted(COUNTS[name], INTEREST[name]) for name in COUNTS})
    for method, result in enumerate(found):
        values = {}
        for name, counts in COUNTS.items():
            hits, truth, predicted = counts[method].sum(0).double()
            ious = 100 * hits / (truth + predicted - hits)
            values[name] = float(ious.mean()), float(ious[list(INTEREST[name])].mean())
        for column in range(2):
            bed = (values["Bed-1"][column] + values["Bed-2"][column]) / 2
            kitchen, desk = values["Kitchen"][column], values["Desk"][column]
            figures = {figure.name: figure.scores["detectron2"][column] for figure in result.figures}
            assert figures == pytest.approx({"Kitchen": kitchen, "Bed": bed, "Desk": desk})
            means = {mean.name: mean.scores["detectron2"][column] for mean in (*result.domains, result.mean)}
            assert means == pytest.approx(
                {"Home": (kitchen + bed) / 2, "Work": desk, "Rooms": (kitchen + bed + desk) / 3}
            )
        assert [(mean.figures, mean.expected) for mean in (*result.domains, result.mean)] == [(2, 2), (1, 1), (3, 3)]
        assert math.isnan(result.figures[0].scores["detectron2"].sensitivity)


def test_pictures_of_equal_names_are_others_in_another_figure_and_the_same_in_its_parts() -> None:
    alike = benchmark_results(ROOMS, {name: counted(COUNTS[name], INTEREST[name]) for name in COUNTS})
    stems = {"Kitchen": "k", "Bed-1": "b", "Bed-2": "b", "Desk": "d"}
    apart = benchmark_results(ROOMS, {name: counted(COUNTS[name], INTEREST[name], stems[name]) for name in COUNTS})
    for one, other in zip(alike, apart, strict=True):
        assert one.mean.estimate == other.mean.estimate
        assert [mean.estimate for mean in one.domains] == [mean.estimate for mean in other.domains]
    bed = of_average([part for name in ("Bed-1", "Bed-2") if (part := counted(COUNTS[name], (1,)).influences)])
    assert [result.figures[1].estimate for result in alike] == estimates(bed)
    parts = [counted(COUNTS[name], INTEREST[name]).influences for name in COUNTS]
    confused = estimates(of_average([part for part in parts if part]))  # four data sets of the same pictures
    assert alike[0].mean.estimate != confused[0]


def test_what_is_not_there_is_missing() -> None:
    """A part of a figure is no figure; a set with nothing to score is none either."""
    empty = Counted(COUNTS["Desk"].sum(1) * 0, (0,), 0, None)
    sets = {"Kitchen": counted(COUNTS["Kitchen"], (1, 3)), "Bed-2": counted(COUNTS["Bed-2"], (1,)), "Desk": empty}
    for result in benchmark_results(ROOMS, sets):
        assert [figure.name for figure in result.figures] == ["Kitchen"]
        assert result.missing == ["Bed", "Desk"]
        assert [mean.name for mean in result.domains] == ["Home"]
        assert (result.mean.figures, result.mean.expected) == (1, 3)
        assert result.mean.scores["mmseg"].mIoU == result.figures[0].scores["mmseg"].mIoU
    nothing = benchmark_results(ROOMS, {"Desk": empty})[0]
    assert (nothing.figures, nothing.domains, nothing.mean.figures, nothing.mean.estimate) == ([], [], 0, None)
    assert math.isnan(nothing.mean.scores["detectron2"].mIoU)


def test_one_picture_gives_no_interval() -> None:
    sets = {name: counted(COUNTS[name], INTEREST[name]) for name in COUNTS}
    sets["Bed-1"] = counted(COUNTS["Bed-1"][:, :1], (1,))
    result = benchmark_results(ROOMS, sets)[1]
    assert [figure.estimate is None for figure in result.figures] == [False, True, False]
    assert [mean.estimate is None for mean in (*result.domains, result.mean)] == [True, False, True]
