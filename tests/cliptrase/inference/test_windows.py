"""Sliding windows, softmax over names, background rules: against SCLIP's released code and a plain loop."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.inference import whole as whole_inference
from cliptrase.inference.naming import classify_pixels
from cliptrase.inference.unlikely import PixelMaps
from cliptrase.inference.whole import find_regions
from cliptrase.inference.window_maps import window_starts
from cliptrase.methods import METHODS
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.regions import region_map
from cliptrase.segmenter import Segmenter
from datamodules.transforms import Geometry
from tests.kit import scene, scene_batch

GOLDEN = Path(__file__).parents[2] / "golden" / "slide.npz"
SCLIP = get_protocol("sclip", longest=2048, eps=0.7, min_samples=3, window=224, stride=112, logit_scale=40)


def classifier(text: Tensor, name_to_label: list[int], background: int | None = None) -> TextClassifier:
    return TextClassifier(text, torch.tensor(name_to_label), max(name_to_label) + 1, background)


@torch.no_grad()
def text_of_patches(segmenter: Segmenter, images: Tensor, names: int) -> Tensor:
    """(names, E) unit embeddings that tell the patches of the first picture apart."""
    encoding = segmenter.encoder(segmenter.prepare(images[:1, :, :192, :192]), segmenter.methods)
    tokens = F.normalize(encoding.features[segmenter.methods[0].name][0, 1:], dim=-1)
    return F.normalize(tokens[:: len(tokens) // names][:names] - 0.9 * tokens.mean(0), dim=-1)


@pytest.mark.parametrize("number", [21, 22])
def test_every_pixel_from_the_picture_on(loaded_clip: LoadedClip, number: int) -> None:
    """The scene resized as mmseg does, then SCLIP's released sliding code: cut out of the kit."""
    with np.load(GOLDEN) as stored:
        text, pred = torch.from_numpy(stored[f"{number}/text"]), stored[f"{number}/pred"]
    image = scene(number, *pred.shape)[0]
    shown = Geometry("whole_image", 336, 2048, "opencv").transform()(image=image)["image"]
    images = torch.from_numpy(np.ascontiguousarray(shown.transpose(2, 0, 1))).unsqueeze(0)
    names = classifier(text, list(range(5)))
    found = Segmenter(loaded_clip, SCLIP, ["sclip"])(images, names, pred.shape).labels["sclip"]
    np.testing.assert_array_equal(found[0].numpy(), pred)


@pytest.mark.parametrize("case", ["slide_sclip", "slide_sclip_shifted"])
def test_every_pixel_of_the_released_sliding_code(parity: Path, loaded_clip: LoadedClip, case: str) -> None:
    with np.load(parity / "methods" / f"{case}.npz") as stored:
        golden = {name: stored[name] for name in stored.files}
    images = torch.from_numpy(golden["resized"]).permute(2, 0, 1).unsqueeze(0)
    names = classifier(torch.from_numpy(golden["text"]), list(range(5)))
    found = Segmenter(loaded_clip, SCLIP, ["sclip"])(images, names, golden["pred"].shape).labels["sclip"]
    np.testing.assert_array_equal(found[0].numpy(), golden["pred"])


@torch.no_grad()
def plain_slide(
    segmenter: Segmenter, images: Tensor, text: Tensor, size: tuple[int, int], protocol: EvaluationProtocol
) -> Tensor:
    """Cosines of all names (C, H, W), a window at a time, as the released code goes."""
    pixels = segmenter.prepare(images)
    height, width = pixels.shape[2:]
    total, count = pixels.new_zeros(len(text), height, width), pixels.new_zeros(height, width)
    for y in window_starts(height, protocol.window, protocol.stride):
        for x in window_starts(width, protocol.window, protocol.stride):
            part = pixels[:, :, y : y + protocol.window, x : x + protocol.window]
            patch = segmenter.patch[0]  # the tower's convolution leaves out what is no whole patch
            whole = part[:, :, : part.shape[2] // patch * patch, : part.shape[3] // patch * patch]
            encoding = segmenter.encoder(whole, segmenter.methods)
            tokens = F.normalize(encoding.features[segmenter.methods[0].name][0, 1:], dim=-1)
            grid = encoding.grids[segmenter.methods[0].name]
            maps = (tokens @ text.T).T.unflatten(1, grid).unsqueeze(0)
            full = F.interpolate(maps, size=part.shape[2:], mode="bilinear")[0]
            total[:, y : y + part.shape[2], x : x + part.shape[3]] += full
            count[y : y + part.shape[2], x : x + part.shape[3]] += 1
    return F.interpolate((total / count).unsqueeze(0), size=size, mode="bilinear")[0]


def plain_decision(
    cosines: Tensor, name_to_label: list[int], protocol: EvaluationProtocol, background: int | None
) -> Tensor:
    """Labels of (C, H, W) cosines with every probability of every class at hand."""
    probability = (protocol.logit_scale * cosines).softmax(0)
    names_of = [
        [name for name, label in enumerate(name_to_label) if label == wanted]
        for wanted in range(max(name_to_label) + 1)
    ]
    classes = torch.stack([probability[names].amax(0) for names in names_of])
    if background is None:
        return classes.argmax(0)
    if protocol.min_area:
        labels = classes.argmax(0)
        foreground = (labels != background).sum()
        for label in set(range(len(classes))) - {background}:
            if not (labels == label).sum() > protocol.min_area * foreground:
                classes[label] = 0
    labels = classes.argmax(0)
    labels[classes.amax(0) < protocol.background_threshold] = background
    return labels


@pytest.mark.parametrize(
    ("height", "width", "size"), [(224, 224, (224, 224)), (240, 352, (300, 440)), (300, 200, (150, 100))]
)
def test_windows_against_a_loop(loaded_clip: LoadedClip, height: int, width: int, size: tuple[int, int]) -> None:
    """A last window moved back, a picture smaller than one, enlarged and shrunk label maps, two pictures at once."""
    images = scene_batch([3, 4], height, width)
    protocol = replace(SCLIP, background_threshold=0.3, min_area=0.1)
    segmenter = Segmenter(loaded_clip, protocol, ["clearclip"])
    name_to_label = [0, 0, 1, 2, 2, 3, 3]
    text = text_of_patches(segmenter, images, len(name_to_label))
    found = segmenter(images, classifier(text, name_to_label, background=3), size).labels["clearclip"]
    for image, labels in zip(images, found, strict=True):
        cosines = plain_slide(segmenter, image.unsqueeze(0), text, size, protocol)
        assert len(labels.unique()) > 1
        torch.testing.assert_close(labels, plain_decision(cosines, name_to_label, protocol, 3))


@torch.no_grad()
def plain_naclip(
    clip: LoadedClip, image: NDArray[np.uint8], text: Tensor, name_to_label: list[int], background: int
) -> Tensor:
    """What NACLIP's configurations do with a picture of VOC21, step by step as mmseg runs them: (H, W) labels.

    mmseg's Resize to (2048, 336) with the ratio kept, its normalisation, the whole picture through the tower at once,
    cosines stretched to the resized picture and then to the original one, softmax of 40 times them, threshold 0.1.
    """
    height, width = image.shape[:2]
    scale = min(2048 / max(height, width), 336 / min(height, width))
    resized = cv2.resize(image, (int(width * scale + 0.5), int(height * scale + 0.5)), interpolation=cv2.INTER_LINEAR)
    mean, std = torch.tensor([122.771, 116.746, 104.094]), torch.tensor([68.501, 66.632, 70.323])
    pixels = ((torch.from_numpy(resized).float() - mean) / std).permute(2, 0, 1).unsqueeze(0)
    rows, columns = (side // 16 for side in resized.shape[:2])
    # The patch embedding is a convolution with stride 16, which takes no notice of what is beyond whole patches.
    seen = pixels[:, :, : rows * 16, : columns * 16]
    encoding = Segmenter(clip, get_protocol("naclip"), ["naclip"]).encoder(seen, [METHODS["naclip"]])
    tokens = F.normalize(encoding.features["naclip"][0, 1:], dim=-1)
    cosines = (tokens @ text.T).T.reshape(1, len(text), rows, columns)
    cosines = F.interpolate(cosines, resized.shape[:2], mode="bilinear", align_corners=False)
    cosines = F.interpolate(cosines, (height, width), mode="bilinear", align_corners=False)
    probability = (40 * cosines[0]).softmax(0)
    classes = torch.stack(
        [probability[torch.tensor(name_to_label) == label].amax(0) for label in range(max(name_to_label) + 1)]
    )
    labels = classes.argmax(0)
    labels[classes.amax(0) < 0.1] = background
    return labels


@torch.no_grad()
@pytest.mark.parametrize(
    ("height", "width"), [(96, 96), (100, 150), (175, 117), (340, 401)], ids=lambda value: str(value)
)
def test_naclip_sees_vocs_pictures_whole(loaded_clip: LoadedClip, height: int, width: int) -> None:
    """Every pixel, from the stored picture on: square and not, enlarged and shrunk."""
    image = scene(31, height, width)[0]
    protocol = get_protocol("naclip")
    segmenter = Segmenter(loaded_clip, protocol, ["naclip"])
    geometry = Geometry("whole_image", protocol.on("VOC21").size, protocol.longest, "opencv")
    shown = geometry.transform()(image=image)["image"]
    images = torch.from_numpy(np.ascontiguousarray(shown.transpose(2, 0, 1))).unsqueeze(0)
    name_to_label = [*range(20), *[20] * 10]
    whole = images[:, :, : images.shape[2] // 16 * 16, : images.shape[3] // 16 * 16]
    tokens = segmenter.encoder(segmenter.prepare(whole), segmenter.methods).features["naclip"][0, 1:]
    tokens = F.normalize(tokens, dim=-1)
    text = F.normalize(
        tokens[:: len(tokens) // len(name_to_label)][: len(name_to_label)] - 0.95 * tokens.mean(0), dim=-1
    )
    names = replace(classifier(text, name_to_label, background=20), setting="VOC21")
    found = segmenter(images, names, (height, width)).labels["naclip"][0]
    wanted = plain_naclip(loaded_clip, image, text, name_to_label, 20)
    assert len(wanted.unique()) > 2
    np.testing.assert_array_equal(found.numpy(), wanted.numpy())
    elsewhere = segmenter(images, replace(names, setting="PC60"), (height, width)).labels["naclip"][0]
    assert min(shown.shape[:2]) <= 224 or (elsewhere != found).any()  # windows see something else


def test_the_threshold_of_naclip_has_something_to_do(loaded_clip: LoadedClip) -> None:
    """Thirty names of equal cosines have probabilities under 0.1."""
    images = scene_batch([1], 336, 400)
    segmenter = Segmenter(loaded_clip, get_protocol("naclip"), ["naclip"])
    text = text_of_patches(segmenter, images, 3)[[0] * 30]
    names = classifier(text, [*range(20), *[20] * 10], background=20)
    assert (segmenter(images, replace(names, setting="VOC21")).labels["naclip"] == 20).all()


def test_one_window_has_regions_of_its_own(loaded_clip: LoadedClip) -> None:
    """With regions a picture seen whole is clustered once, by the values for such pictures."""
    protocol = get_protocol("naclip", window="image", stride=0, eps=0.9, overrides={})
    segmenter = Segmenter(loaded_clip, protocol, ["cliptrase"])
    images = scene_batch([5, 6], 100, 160)
    encoded = segmenter.encode(images, (100, 160))
    assert encoded.regions["cliptrase"].shape == (2, 1, 1, 100, 160)
    names = classifier(text_of_patches(segmenter, images[:, :, :96, :96], 6), list(range(6)))
    assert len(segmenter.label(encoded, names)["cliptrase"].unique()) > 1


@pytest.mark.parametrize("background", [None, 0, 3])
@pytest.mark.parametrize(("threshold", "area"), [(0.0, 0.0), (0.4, 0.0), (0.0, 0.2), (0.35, 0.2)])
@pytest.mark.parametrize("step", [1, 2, 7])
def test_decision_against_all_probabilities(background: int | None, threshold: float, area: float, step: int) -> None:
    """Any number of names at a time; background first or last; each rule alone and both."""
    name_to_label = [0, 0, 1, 2, 3, 3, 2]
    cosines = F.interpolate(torch.randn(2, 7, 4, 5, generator=torch.Generator().manual_seed(1)), (24, 30)) / 20
    cosines += torch.randn(cosines.shape, generator=torch.Generator().manual_seed(2)) / 200
    protocol = replace(SCLIP, background_threshold=threshold, min_area=area)
    names = classifier(torch.zeros(7, 1), name_to_label, background)
    found = classify_pixels(
        PixelMaps(lambda: ((first, cosines[:, first : first + step]) for first in range(0, 7, step))), names, protocol
    ).labels
    wanted = torch.stack([plain_decision(one, name_to_label, protocol, background) for one in cosines])
    torch.testing.assert_close(found, wanted)
    if background is not None and (threshold or area):
        free = torch.stack([plain_decision(one, name_to_label, protocol, None) for one in cosines])
        assert (found != free).any()  # the rules had something to do


@pytest.mark.parametrize(("eps", "without"), [(1.0, 0), (0.2, 7), (1e-6, 12)])
@torch.no_grad()
def test_regions_vote_inside_their_window(loaded_clip: LoadedClip, eps: float, without: int) -> None:
    """Against every window's own `detectron2`-like vote, laid on the picture by hand."""
    protocol = replace(SCLIP, window=96, stride=48, eps=eps)
    segmenter = Segmenter(loaded_clip, protocol, ["cliptrase"])
    images = scene_batch([5, 6], 128, 160)
    text = text_of_patches(segmenter, images[:, :, :96, :96], 6)
    found = segmenter(images, classifier(text, list(range(6))), (140, 150)).labels["cliptrase"]
    pixels = segmenter.prepare(images)
    total, count = torch.zeros(2, 6, 128, 160), torch.zeros(128, 160)
    whole = 0
    for y in (0, 32):
        for x in (0, 48, 64):
            encoding = segmenter.encoder(pixels[:, :, y : y + 96, x : x + 96], segmenter.methods)
            cosines = F.normalize(encoding.features["cliptrase"][:, 1:], dim=-1) @ text.T
            maps = F.interpolate(cosines.mT.unflatten(2, encoding.grids["cliptrase"]), (96, 96), mode="bilinear")
            found_regions = find_regions(encoding, segmenter.methods, protocol, (96, 96), (96, 96))
            for image, regions in enumerate(found_regions["cliptrase"]):
                whole += int((regions < 0).all())
                for region in set(regions.unique().tolist()) - {-1}:
                    inside = regions == region
                    maps[image][:, inside] = maps[image][:, inside].mean(1, keepdim=True)
            total[:, :, y : y + 96, x : x + 96] += maps
            count[y : y + 96, x : x + 96] += 1
    wanted = F.interpolate(total / count, (140, 150), mode="bilinear").argmax(1)
    assert whole == without
    assert len(found.unique()) > 1
    assert (found == wanted).float().mean() > 0.9999  # a region's mean as a weighted mean of patches rounds otherwise


def test_pictures_do_not_mind_their_batch(loaded_clip: LoadedClip) -> None:
    protocol = replace(SCLIP, window=96, stride=48, background_threshold=0.2, min_area=0.1)
    segmenter = Segmenter(loaded_clip, protocol, ["cliptrase", "naclip"])
    images = scene_batch([1, 2, 3], 112, 144)
    names = classifier(text_of_patches(segmenter, images[:, :, :96, :96], 9), [0, 1, 1, 2, 2, 3, 3, 4, 4], background=0)
    together = segmenter(images, names).labels
    for number in range(3):
        alone = segmenter(images[number : number + 1], names).labels
        for method, labels in together.items():
            torch.testing.assert_close(alone[method][0], labels[number])


@pytest.mark.parametrize(
    "protocol", [replace(SCLIP, window=96, stride=48), get_protocol(size=96, eps=0.9, min_samples=3)]
)
def test_only_the_tower_is_rounded(loaded_clip: LoadedClip, protocol: EvaluationProtocol) -> None:
    """Under bf16-mixed all that follows the tower is what float32 makes of its output."""
    segmenter = Segmenter(loaded_clip, protocol, ["cliptrase", "cliptrase+mean"])
    images = scene_batch([1, 2], 96, 96)
    names = classifier(text_of_patches(segmenter, images, 9), list(range(9)))
    with torch.autocast("cpu", torch.bfloat16):
        encoded = segmenter.encode(images)
        rounded = segmenter.label(encoded, names)
    assert encoded.regions
    for method, labels in segmenter.label(encoded, names).items():
        torch.testing.assert_close(labels, rounded[method])
    seen: list[torch.dtype] = []
    with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", torch.bfloat16):
        patch.setattr(
            whole_inference,
            "region_map",
            lambda *inputs: seen.append((inputs[0] @ inputs[0]).dtype) or region_map(*inputs),
        )
        segmenter.encode(images)
    assert set(seen) == {torch.float32}


def test_a_setting_has_values_of_its_own(loaded_clip: LoadedClip) -> None:
    """A scale that makes three names equal and a threshold above a third leave nothing but background, there only."""
    protocol = replace(
        SCLIP, window=96, stride=48, overrides={"VOC21": {"logit_scale": 0.01, "background_threshold": 0.5}}
    )
    segmenter = Segmenter(loaded_clip, protocol, ["sclip"])
    images = scene_batch([1], 96, 96)
    usual = classifier(text_of_patches(segmenter, images, 3), [0, 1, 2], background=2)
    assert (segmenter(images, replace(usual, setting="VOC21")).labels["sclip"] == 2).all()
    assert (segmenter(images, usual).labels["sclip"] != 2).any()


def test_windows_have_no_majority(loaded_clip: LoadedClip) -> None:
    with pytest.raises(InputError, match=r"method cliptrase\+majority: protocol sclip averages the logits of windows"):
        Segmenter(loaded_clip, SCLIP, ["cliptrase+majority"])


@pytest.mark.parametrize(
    ("length", "wanted"), [(224, [0]), (100, [0]), (225, [0, 1]), (336, [0, 112]), (500, [0, 112, 224, 276])]
)
def test_where_windows_start(length: int, wanted: list[int]) -> None:
    """The count is max(length - 224 + 111, 0) // 112 + 1, the last moved back to the border."""
    assert window_starts(length, 224, 112) == wanted
