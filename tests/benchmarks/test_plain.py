"""The plain implementation that speed is measured against gives the package's own label maps."""

import numpy as np
import pytest
import torch

from benchmarks.plain import PlainSegmenter
from benchmarks.subjects import classifier, pictures
from cliptrase.clip.weights import LoadedClip
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter


@pytest.mark.parametrize("as_released", [False, True])
@pytest.mark.parametrize(("size", "eps", "min_samples"), [(224, 0.7, 3), (336, 1.1, 7)])
def test_plain_is_the_packages(
    size: int, eps: float, min_samples: int, as_released: bool, loaded_clip: LoadedClip
) -> None:
    segmenter = Segmenter(loaded_clip, get_protocol(size=size, eps=eps, min_samples=min_samples))
    plain = PlainSegmenter(loaded_clip.model, segmenter.mean, segmenter.std, eps, min_samples, as_released)
    images = pictures(3, size)
    names = classifier(40, loaded_clip.model.visual.output_dim, segmenter.device)
    ours = segmenter(images, names).labels["cliptrase"].numpy()
    theirs = np.stack([plain(image, names.embeddings) for image in images])
    np.testing.assert_array_equal(ours, theirs)
    assert len(np.unique(ours)) > 3
    assert not torch.equal(torch.from_numpy(ours[0]), torch.from_numpy(ours[1]))
