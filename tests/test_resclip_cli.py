"""ResCLIP on the command line: label maps as a slow run of windows gives, of which each is read in loops."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cliptrase.clip.weights import load_clip
from cliptrase.methods import get_method
from cliptrase.segmenter import Segmenter
from datamodules.spec import DatasetSpec
from tests import plain_resclip
from tests.command import run
from tests.kit import scene
from tests.published_protocols import VALUES, Published, decide, resized, slide
from tests.test_protocol_rows_cli import SIZES, TIE, asked, write

# A small size of NACLIP's protocol, whole pictures on VOC and windows elsewhere.
PROTOCOL = ("--protocol", "naclip", "--protocol.size", "96", "--protocol.window", "64", "--protocol.stride", "32")
# The authors' values, and others under which more names are left in label maps of a tower of random weights.
SPECS = ("resclip", "resclip-sfr", "resclip+lambda_r=0.01+tau_s=10+lambda_s=0.5+temp_thd=0.08")


def values_of(setting: str) -> Published:
    values = VALUES["naclip"][setting]._replace(size=96)
    return values if values.window is None else values._replace(window=64, stride=32)


class Plain:
    """The tower and the names of a data set, background first, as released lists have them."""

    def __init__(self, clip: Path, spec: DatasetSpec) -> None:
        segmenter = Segmenter(load_clip(f"local-dir:{clip}"), "sclip", ["vanilla"])
        self.visual = segmenter.encoder.tower
        self.text = segmenter.classifier(spec.vocabulary, progress=False).embeddings
        background = len(spec.vocabulary.background)
        self.listed = torch.cat([self.text[len(self.text) - background :], self.text[: len(self.text) - background]])
        self.seen: set[int] = set()

    def cosines(self, window: Tensor, method: str, setting: str, classes_first: bool = False) -> Tensor:
        """(C, h, w) of a window (1, 3, h', w') of any size."""
        values = {option.name: option.value for option in get_method(method).on(setting).options}
        text = self.text if classes_first else self.listed
        text = None if "-sfr" in method else text
        features, names = plain_resclip.resclip(self.visual, window[0], values, text)
        self.seen |= set() if names is None else set(names.flatten().tolist())
        unit = features[1:] / np.linalg.norm(features[1:], axis=1, keepdims=True)
        grid = (window.shape[2] // 16, window.shape[3] // 16)
        return torch.from_numpy(unit @ self.text.double().numpy().T).float().T.unflatten(1, grid)


@pytest.mark.parametrize("setting", ["VOC21", "VOC20", "PC60"])
def test_every_pixel(setting: str, tmp_path: Path, tiny_clip: Path) -> None:
    """Square and other pictures, whole and in windows, with and without a background; numbers of each data set."""
    spec = asked("naclip", setting)
    write(tmp_path / "datasets", spec)
    plain, values = Plain(tiny_clip, spec), values_of(setting)
    labels: set[int] = set()
    moved = 0  # pixels that another order of names would move
    for method in SPECS:
        predicted = run(
            *("predict", tmp_path / method, *PROTOCOL, "--data", setting, "--data.root", str(tmp_path / "datasets")),
            *("--model.clip", f"local-dir:{tiny_clip}", "--model.method", method, "--trainer.callbacks", "[]"),
        )
        for number, size in enumerate(SIZES):
            pixels = resized(scene(number, *size)[0], values.size)
            assert any(side % 16 for side in pixels.shape[2:]) == (number > 0)
            cosines = partial(plain.cosines, method=method, setting=setting)
            wanted = decide(slide(pixels, size, values, cosines, patch=1), spec.vocabulary, values)
            found = torch.from_numpy(predicted.mask(setting, f"scene_{number}").astype(np.int64))
            assert [margin for margin in wanted.margin[found != wanted.labels].tolist() if margin > TIE] == []
            labels |= set(found.flatten().tolist())
            if setting == "VOC21" and method == SPECS[-1]:
                cosines = partial(cosines, classes_first=True)
                moved += int(
                    (decide(slide(pixels, size, values, cosines, 1), spec.vocabulary, values)[0] != found).sum()
                )
    assert len(labels) > 3
    assert len(plain.seen) > 1
    assert (moved > 0) == (setting == "VOC21")
