"""Options of methods: typed values, by data set and depth, and the names that they give."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from cliptrase.attention import value_path
from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.trunk import Trunk
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.methods import METHODS, SWITCH_OPTIONS, Method, MethodOption, get_method, get_methods
from cliptrase.protocols.values import Number, Whole
from cliptrase.readings import attend, reading
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from tests.kit import scene_batch

NAMES = ("cat", "dog", "sky", "tree", "sea", "road", "house", "boat")


@reading(projections=(-1,))
def scaled(trunk: Trunk) -> Tensor:
    values = attend(value_path, trunk.projections(-1)) * trunk.options["factor"] ** trunk.options["power"]
    return trunk.project(trunk.complete(-1, values, mlp=False))


FACTOR = MethodOption("factor", 0.5, Number(100), "of values", {"VOC20": 2.0, "ADE150": 3.0}, {12: 0.25})
POWER = MethodOption("power", 1, Whole(9), "of the factor", {"VOC20": 2})
SCALED = Method("scaled", "nobody", scaled, options=(FACTOR, POWER))


def values_on(method: Method, dataset: str, blocks: int) -> list[float]:
    return [option.at(blocks) for option in method.on(dataset).options]


def test_values_by_data_set_and_depth() -> None:
    assert values_on(SCALED, "VOC20", 12) == [2.0, 2]  # a data set's own value holds at every depth
    assert values_on(SCALED, "ADE150", 24) == [3.0, 1]
    assert values_on(SCALED, "PC59", 12) == [0.25, 1]
    assert values_on(SCALED, "PC59", 24) == [0.5, 1]
    assert FACTOR.values() == {"default": 0.5, "VOC20": 2.0, "ADE150": 3.0, "12 blocks": 0.25}
    assert values_on(get_method("pearl"), "Cityscapes", 12) == [0.3]
    assert values_on(get_method("pearl"), "VOC20", 12) == [0.08]


@pytest.mark.parametrize(
    ("spec", "name", "values"),
    [
        ("pearl+alpha=0.3", "pearl+alpha=0.3", {"default": 0.3}),
        ("pearl+alpha=.30", "pearl+alpha=0.3", {"default": 0.3}),
        ("pearl+alpha=0", "pearl+alpha=0", {"default": 0.0}),
        ("pearl+alpha=1e-3", "pearl+alpha=0.001", {"default": 0.001}),
        ("pearl+frozen", "pearl+frozen", {"default": 0.08}),
        ("pearl+alpha=0.08", "pearl+frozen", {"default": 0.08}),
        ("pearl+frozen+alpha=0.3", "pearl+alpha=0.3", {"default": 0.3}),
        ("pearl+alpha=0.3+regions", "pearl+regions+alpha=0.3", {"default": 0.3}),
        ("pearl+tlp+tlp_grid=40", "pearl+tlp+tlp_grid=40", {"default": 0.08, "Cityscapes": 0.3, "ADE150": 0.3}),
        ("pearl+frozen+tlp", "pearl+tlp+frozen", {"default": 0.08}),
        ("pearl", "pearl", {"default": 0.08, "Cityscapes": 0.3, "ADE150": 0.3}),
    ],
)
def test_names(spec: str, name: str, values: dict[str, float]) -> None:
    """Equal numbers give equal names, and a name gives its numbers again."""
    method = get_method(spec)
    assert method.name == name
    assert method.options[0].values() == values
    assert get_method(name) == method


def test_equal_methods_are_one() -> None:
    specs = ["pearl+alpha=0.08", "pearl+frozen", "pearl", "pearl+alpha=0.080"]
    assert [method.name for method in get_methods(specs)] == ["pearl+frozen", "pearl"]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("pearl+alhpa=1", r"method pearl has no option 'alhpa'; did you mean alpha\?"),
        ("pearl+beta=1", "method pearl has no option 'beta'; it has alpha"),
        ("vanilla+alpha=1", r"method vanilla has no options, so \+alpha=1 sets none; leave it out"),
        ("vanilla+frozen", r"method vanilla has no options, so \+frozen sets none"),
        ("pearl+alpha=1+alpha=2", "each option is set once"),
        ("pearl-alpha=1", "each option is set once, as"),
        ("pearl+alpha=1.2.3", "option alpha must be a number, not '1.2.3'"),
        ("pearl+tlp_grid=40", "method pearl has no option 'tlp_grid'; it has alpha"),
        ("naclip+tlp+tlp_grid=4.5", "option tlp_grid must be a whole number, not 4.5"),
        ("pearl+alpha=1e9", "option alpha must be at most 1e"),
        ("pearl+alpha=-1", "option alpha must be 0 or more, not -1"),
        ("pearl+alpha=-1e-3", "option alpha must be 0 or more, not -0.001"),
        ("pearl+alpha=", "option alpha must be a number, not ''"),
        ("pearl+alpha=auto", "option alpha must be a number, not 'auto'"),
        ("pearl+alpha=nan", "option alpha must be 0 or more, not nan"),
    ],
)
def test_what_cannot_be(spec: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        get_method(spec)


def test_a_value_of_the_wrong_kind() -> None:
    with pytest.raises(InputError, match=r"power of VOC20 must be a whole number, not 1\.5"):
        MethodOption("power", 1, Whole(9), "", {"VOC20": 1.5})


def test_readings_get_them(loaded_clip: LoadedClip) -> None:
    """On a data set with values of its own features change; methods of one reading with other numbers stay apart."""
    encoder = VisualEncoder(loaded_clip.model.visual)
    images = scene_batch([1], 64, 80)
    pixels = images / 127.5 - 1
    values = {"plain": SCALED.on("PC59"), "voc": SCALED.on("VOC20")}
    methods = [Method(name, "nobody", scaled, options=method.options) for name, method in values.items()]
    with torch.no_grad():
        both = encoder(pixels, methods).features
        for method in methods:
            torch.testing.assert_close(both[method.name], encoder(pixels, [method]).features[method.name])
    assert not torch.allclose(both["plain"], both["voc"], atol=1e-2)
    segmenter = Segmenter(loaded_clip, methods=[SCALED])
    for dataset, name in (("VOC20", "voc"), ("PC59", "plain")):
        features = segmenter.encode(images, setting=dataset).encoding.features["scaled"]  # type: ignore[union-attr]
        pixels = segmenter.prepare(images)
        with torch.no_grad():
            wanted = encoder(pixels, [methods[["plain", "voc"].index(name)]]).features[name]
        torch.testing.assert_close(features, wanted)


def test_methods_that_differ_in_refinements_share_a_reading(loaded_clip: LoadedClip) -> None:
    times = []

    @reading(projections=(-1,))
    def counted(trunk: Trunk) -> Tensor:
        times.append(dict(trunk.options))
        return trunk.project(trunk.complete(-1, attend(value_path, trunk.projections(-1)), mlp=False))

    plain = Method("plain", "nobody", counted, options=(FACTOR,))
    tlp = get_method("vanilla+tlp")
    refined = Method("refined", "nobody", counted, options=(FACTOR, *tlp.options), refine=tlp.refine)
    with torch.no_grad():
        VisualEncoder(loaded_clip.model.visual)(scene_batch([1], 32, 32) / 255, [plain, refined])
    assert times == [{"factor": 0.25}]


def test_refinements_get_them(loaded_clip: LoadedClip) -> None:
    """TLP has a finer grid on Cityscapes; the two grids name some pixels otherwise."""
    images, size = scene_batch([1], 112, 240), (300, 640)

    def labels(spec: str, setting: str) -> Tensor:
        segmenter = Segmenter(loaded_clip, "sclip", [spec])
        classifier = segmenter.classifier(Vocabulary(single_names(NAMES)), progress=False, setting=setting)
        (found,) = segmenter(images, classifier, size).labels.values()
        return found

    coarse, fine = labels("sclip+tlp", ""), labels("sclip+tlp", "Cityscapes")
    assert not torch.equal(coarse, fine)
    assert torch.equal(coarse, labels("sclip+tlp+frozen", "Cityscapes"))
    assert torch.equal(fine, labels("sclip+tlp+tlp_grid=224", ""))


def test_documents_name_every_option() -> None:
    table = (Path(__file__).parents[2] / "docs" / "methods.md").read_text()
    for method in METHODS.values():
        for option in method.options:
            assert f"| `{method.name}+{option.name}` | {option.meaning} | {option.summary} |" in table
        for part in method.parts:
            assert f"`{method.name}-{part.name}`" in table
    for switch, option in SWITCH_OPTIONS.items():
        assert f"| `{switch}+{option.name}` | {option.meaning} | {option.summary} |" in table


def test_table() -> None:
    for method in METHODS.values():
        for option in method.options:
            assert option.meaning
            assert get_method(f"{method.name}+{option.name}={option.value:.15g}").on("").options is not None
