"""The worked example of CONTRIBUTING.md runs as it stands there."""

import re
from pathlib import Path

import torch

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.weights import LoadedClip
from cliptrase.methods import get_method
from cliptrase.protocols import get_protocol
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from tests.kit import scene_batch

CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"


def example() -> str:
    """The first Python block of the section on methods."""
    found = re.search(r"^## Add a method\n(.*?)(?=^## |\Z)", CONTRIBUTING.read_text(), re.M | re.S)
    assert found, "CONTRIBUTING.md has no section 'Add a method'"
    block = re.search(r"^```python\n(.*?)^```$", found[1], re.M | re.S)
    assert block, "the section 'Add a method' has no Python block"
    return block[1]


def test_adding_a_method_is_one_function_and_one_record(loaded_clip: LoadedClip, tmp_path: Path) -> None:
    code = example()
    assert len(re.findall(r"^def ", code, re.M)) == len(re.findall(r"\bMethod\(", code)) == 1
    file = tmp_path / "key_key.py"
    file.write_text(code)
    spec = f"{file}:KEY_KEY"
    name = get_method(spec).name
    encoder = VisualEncoder(loaded_clip.model.visual)
    with torch.no_grad():
        found = encoder(scene_batch([1], 64, 80) / 255, [get_method(spec), get_method("naclip")]).features
    assert found[name].shape == (1, 21, 64)
    assert found[name].isfinite().all()
    # NACLIP is the same with neighbours favoured: nearby, and not equal.
    assert not torch.allclose(found[name], found["naclip"], atol=1e-4)
    assert torch.cosine_similarity(found[name], found["naclip"], dim=-1).min() > 0.9

    specs = [get_method(spec), f"{spec}+regions", "vanilla"]
    segmenter = Segmenter(loaded_clip, get_protocol(size=160, eps=0.7, min_samples=3), specs)
    classifier = segmenter.classifier(Vocabulary(single_names(["cat", "dog", "sky"])), progress=False)
    labels = segmenter(scene_batch([1, 2], 160, 160), classifier).labels
    assert list(labels) == [name, f"{name}+regions", "vanilla"]
    assert all(map_.shape == (2, 160, 160) for map_ in labels.values())
