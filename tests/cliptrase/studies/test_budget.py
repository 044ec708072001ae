"""Budgets of planted errors: the cause that was planted gets all of the loss, the others nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from cliptrase.clip.weights import LoadedClip
from cliptrase.evaluation.counts import SegmentationCounts
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.evaluation.study_table import StudyTable
from cliptrase.inference.grid import GridAxis, picture_axis
from cliptrase.inference.naming import Named
from cliptrase.methods import get_method, get_methods
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from cliptrase.studies import oracles
from cliptrase.studies.base import Seen, Studied, Study, variant
from cliptrase.studies.boundary import BoundaryIoU
from cliptrase.studies.budget import BOUNDARIES, GRID, GROUPING, LEFT, NAMES, SEAMS, THRESHOLD, ErrorBudget, causes
from cliptrase.vocabulary import Vocabulary, single_names
from tests import plain_oracles
from tests.kit import scene_batch

HEIGHT, WIDTH, NUMBER, VOID = 48, 64, 5, 255
SEAM = 24  # a window begins at this column
REACH = 2  # 0.02 of 80
SMOOTH = get_protocol("paper_224", scoring="mmseg")
WINDOWED = get_protocol("sclip", background_threshold=0.5, logit_scale=40.0, scoring="mmseg")
EVERYTHING = [GRID, BOUNDARIES, SEAMS, NAMES, GROUPING, THRESHOLD]


@dataclass(frozen=True)
class PlantedSetting:
    """A data set whose label 0 is the background, if it has one."""

    name: str = "planted"
    background: tuple[str, ...] = ("wall",)

    @property
    def vocabulary(self) -> Vocabulary:
        if self.background:
            return Vocabulary(single_names(["a", "b", "c", "d"]), self.background, background_label=0)
        return Vocabulary(single_names(["a", "b", "c", "d", "e"]))


@dataclass
class Planted:
    """Two pictures of one truth as a run saw them, and what stands in for encoded images and the segmenter.

    Attributes:
        truth: (2, H, W).
        own: (2, H, W) the run's label maps, right but for what is planted.
        renamed: with only the names that are there; None for the same.
        unsure: (2, H, W) where the background's threshold made a pixel background that is right otherwise.
        patches: along both axes.
    """

    truth: Tensor
    own: Tensor
    renamed: Tensor | None = None
    unsure: Tensor | None = None
    patches: tuple[int, int] = (HEIGHT, WIDTH)
    seams: tuple[list[tuple[int, int]], list[tuple[int, int]]] = field(default_factory=lambda: ([], [(SEAM - 1, SEAM)]))

    def grid(self, method: str) -> tuple[GridAxis, GridAxis]:
        """As `WholePictures.grid`."""
        down, across = zip(self.patches, (HEIGHT, WIDTH), (HEIGHT, WIDTH), strict=True)
        return picture_axis(*down, self.truth.device), picture_axis(*across, self.truth.device)

    def label(self, encoded: Any, classifier: TextClassifier, present: Tensor | None = None) -> dict[str, Tensor]:
        """As `Segmenter.label`."""
        return {"vanilla": self.own if present is None or self.renamed is None else self.renamed}

    def named(self, encoded: Any, classifier: TextClassifier, present: Tensor | None = None) -> dict[str, Named]:
        """As `Segmenter.named`."""
        maps = self.label(encoded, classifier, present)["vanilla"]
        unsure = torch.zeros_like(maps, dtype=torch.bool) if self.unsure is None else self.unsure
        return {"vanilla": Named(maps, self.truth.where(unsure, maps), torch.where(unsure, 0.3, 0.9))}


def studied(study: Study, planted: Planted, protocol: EvaluationProtocol, setting: Setting) -> list[StudyTable]:
    """A study's tables over the planted pictures."""
    methods = get_methods(["vanilla"])
    prepared = study.prepare(cast(Segmenter, planted), setting, progress=False)
    classifier = TextClassifier(torch.eye(NUMBER), torch.arange(NUMBER), NUMBER, setting.vocabulary.background_index)
    seen = Seen(cast(Any, planted), classifier, {"vanilla": planted.own}, planted.truth)
    own = SegmentationCounts(["vanilla"], NUMBER)
    own.update(seen.predictions, planted.truth, [0, 1])
    counts = SegmentationCounts(study.variants(setting, methods), study.num_labels(setting))
    counts.update(prepared.label_maps(seen), prepared.truth(seen), [0, 1])
    found = Studied(protocol, methods, [setting], {setting.name: counts.compute()}, {setting.name: own.compute()})
    return list(study.tables(found))


def parts(planted: Planted, protocol: EvaluationProtocol = WINDOWED, setting: Setting | None = None) -> dict[str, Any]:
    """Points by part; they and the mIoU are 100."""
    setting = setting or cast(Setting, PlantedSetting())
    split = studied(ErrorBudget(protocol), planted, protocol, setting)[0]
    found = {str(row[2]): cast(float, row[3]) for row in split.rows}
    assert sum(found.values()) == pytest.approx(100, abs=1e-9)
    return found


def halves() -> Tensor:
    """Label 1 on the left, label 2 on the right, the background in a corner."""
    truth = torch.full((2, HEIGHT, WIDTH), 1)
    truth[:, :, 40:] = 2
    truth[:, 40:, :16] = 0
    return truth


def only_grid() -> Planted:
    truth = halves()
    grid = (6, 7)  # no patch ends at column 40
    pooled = oracles.pooled_truth(truth, NUMBER, *Planted(truth, truth, patches=grid).grid("vanilla"))
    return Planted(truth, pooled, patches=grid)


def only_boundaries() -> Planted:
    truth = halves()
    own = truth.clone()
    own[:, :, 40 : 40 + REACH] = 1
    return Planted(truth, own)


def only_seams() -> Planted:
    truth = halves()
    own = truth.clone()
    own[:, 5:30, SEAM : SEAM + REACH] = 2  # a label that the picture holds, but far away
    return Planted(truth, own)


def only_names() -> Planted:
    truth = halves()
    own = truth.clone()
    own[:, 5:35, 4:20] = 3  # nowhere in the truth
    return Planted(truth, own, renamed=truth)


def only_grouping() -> Planted:
    truth = halves()
    own = truth.clone()
    own[:, 5:35:4, 4:20:3] = 2
    return Planted(truth, own)


def apart() -> Tensor:
    """The background, a strip that is not scored, and label 1: regions that nothing but their names can put right."""
    truth = torch.full((2, HEIGHT, WIDTH), 1)
    truth[:, :, :30] = 0
    truth[:, :, 30:40] = VOID
    return truth


def only_threshold() -> Planted:
    truth = apart()
    unsure = truth == 1
    return Planted(truth, torch.zeros_like(truth), unsure=unsure, seams=([], []))


def only_left() -> Planted:
    truth = apart()
    return Planted(truth, torch.zeros_like(truth), seams=([], []))


PLANTED = {
    GRID: only_grid,
    BOUNDARIES: only_boundaries,
    SEAMS: only_seams,
    NAMES: only_names,
    GROUPING: only_grouping,
    THRESHOLD: only_threshold,
    LEFT: only_left,
}


@pytest.mark.parametrize("cause", PLANTED)
def test_what_is_planted_gets_all_of_the_loss(cause: str) -> None:
    found = parts(PLANTED[cause]())
    assert list(found) == ["mIoU", *EVERYTHING, LEFT]
    assert found["mIoU"] < 99.9
    assert found[cause] == pytest.approx(100 - found["mIoU"], abs=1e-9)
    assert all(value == pytest.approx(0, abs=1e-9) for part, value in found.items() if part not in ("mIoU", cause))


@pytest.mark.parametrize("cause", EVERYTHING)
def test_alone_it_gains_the_same(cause: str) -> None:
    planted = PLANTED[cause]()
    setting = cast(Setting, PlantedSetting())
    split, alone, _ = studied(ErrorBudget(WINDOWED), planted, WINDOWED, setting)
    points = {str(row[2]): row for row in alone.rows}
    assert points[cause][3] == pytest.approx({str(row[2]): row[3] for row in split.rows}[cause])
    scored = (planted.truth != VOID).sum()
    wrong = ((planted.truth != planted.own) & (planted.truth != VOID)).sum()
    assert points[cause][5] == pytest.approx(100 * float(wrong / scored))


def test_several_causes_together_stay_apart() -> None:
    truth = halves()
    own = truth.clone()
    for plant in (only_boundaries, only_seams, only_names):
        one = plant()
        own = own.where(one.own == one.truth, one.own)
    renamed = truth.where(own == 3, own)
    found = parts(Planted(truth, own, renamed=renamed))
    assert min(found[cause] for cause in (BOUNDARIES, SEAMS, NAMES)) > 0.5
    assert found[LEFT] == pytest.approx(0, abs=1e-9)


def test_pixels_that_are_not_scored_lose_nothing() -> None:
    truth = halves()
    own = truth.clone()
    own[:, 5:20, 20:50] = 3
    truth[:, 5:20, 20:50] = VOID
    found = parts(Planted(truth, own))
    assert found.pop("mIoU") == pytest.approx(100)
    assert all(value == pytest.approx(0, abs=1e-9) for value in found.values())


def test_pictures_of_a_single_label_have_no_border() -> None:
    truth = torch.full((2, HEIGHT, WIDTH), 1)
    own = truth.clone()
    own[:, :, 30:50] = 3
    found = parts(Planted(truth, own, renamed=truth, patches=(3, 4)))
    assert found[NAMES] == pytest.approx(100 - found["mIoU"], abs=1e-9)


def test_a_misnamed_region_is_no_error_of_its_border() -> None:
    """Its pixels in the band bear a name from far away: they would be wrong without any border."""
    truth = halves()
    own = truth.clone()
    own[truth == 1] = 0
    truth[:, 40 - REACH - 3 :, : 16 + REACH + 3] = VOID  # the background's own corner is far enough away
    truth[:, 47, 0] = 0
    found = parts(Planted(truth, own, seams=([], [])))
    assert found[BOUNDARIES] == pytest.approx(0, abs=1e-9)
    assert found[LEFT] == pytest.approx(100 - found["mIoU"], abs=1e-9)


def test_protocols_without_windows_or_background_have_fewer_steps() -> None:
    with_background = cast(Setting, PlantedSetting())
    without = cast(Setting, PlantedSetting(background=()))
    assert causes(SMOOTH, with_background) == [GRID, BOUNDARIES, NAMES, GROUPING]
    assert causes(WINDOWED, without) == [GRID, BOUNDARIES, SEAMS, NAMES, GROUPING]
    assert causes(get_protocol("whole"), without) == [GRID, BOUNDARIES, NAMES, GROUPING]
    assert parts(only_boundaries(), SMOOTH, without)[BOUNDARIES] > 0.5


def test_intervals_are_those_of_each_step() -> None:
    """Two equal pictures differ in nothing; where one is right and one wrong, the interval is not of one point."""
    planted = only_names()
    planted.own[1] = planted.truth[1]
    split = studied(ErrorBudget(WINDOWED), planted, WINDOWED, cast(Setting, PlantedSetting()))[0]
    intervals = {str(row[2]): cast(Sequence[float], row[4]) for row in split.rows[1:]}
    assert intervals[NAMES][0] < cast(float, split.rows[4][3]) < intervals[NAMES][1]
    assert intervals[GROUPING] == pytest.approx((0, 0))


def test_boundary_iou_is_that_of_the_bands() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 4, (2, 1, 4, 5), generator=generator).float()
    truth = torch.nn.functional.interpolate(truth, (HEIGHT, WIDTH))[:, 0].long()
    own = truth.roll((1, 3), (1, 2))
    own[0, 10:20, 10:20] = 4  # nowhere in the truth
    truth[:, 5:9, 40:60] = VOID
    wanted = plain_oracles.boundary_iou(
        [(mine.numpy(), true.numpy()) for mine, true in zip(own, truth, strict=True)], NUMBER, REACH
    )
    detectron2 = get_protocol("paper_224", scoring="detectron2")
    (table,) = studied(BoundaryIoU(), Planted(truth, own), detectron2, cast(Setting, PlantedSetting()))
    assert table.rows[0][3] == pytest.approx(wanted)
    assert 0 < wanted < cast(float, table.rows[0][2])


@pytest.mark.parametrize("background", [(), ("wall",)])
@pytest.mark.parametrize("window", [0, 96])
def test_of_a_real_run_no_step_spoils_a_pixel(
    loaded_clip: LoadedClip, window: int, background: tuple[str, ...]
) -> None:
    changes: dict[str, Any] = {"window": 96, "stride": 40, "background_threshold": 0.2} if window else {"size": 160}
    protocol = get_protocol("sclip" if window else "paper_224", **changes, templates="vild", eps=0.7, min_samples=3)
    setting = cast(Setting, PlantedSetting(background=background))
    segmenter = Segmenter(loaded_clip, protocol, ["cliptrase", "vanilla", "resclip"])
    classifier = segmenter.classifier(setting.vocabulary, progress=False)
    images = scene_batch([1, 2], 160, 160)
    found = segmenter(images, classifier, (130, 150) if window else None)
    truth = found.labels["vanilla"].roll(7, 2)
    truth[:, :5] = VOID
    study = ErrorBudget(protocol)
    maps = study.prepare(segmenter, setting, progress=False).label_maps(
        Seen(found.encoded, classifier, found.labels, truth)
    )
    assert set(maps) == set(study.variants(setting, segmenter.methods))
    for method, own in found.labels.items():
        before = own
        for cause in causes(protocol, setting):
            after = maps[variant(method, cause)]
            assert torch.equal(after[before == truth], truth[before == truth])
            assert torch.equal(after[after != truth], own[after != truth])
            before = after


def test_methods_that_read_names_keep_their_features() -> None:
    found = Studied(SMOOTH, [get_method("vanilla"), get_method("resclip")], [], {}, {})
    notes = [note for table in ErrorBudget(SMOOTH).tables(found) for note in table.notes]
    assert any(note.startswith("resclip: features") for note in notes)
