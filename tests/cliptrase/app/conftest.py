"""A studio on the embedded model, shared by the room's tests, which do not change it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cliptrase.app.studio import Answer, Studio
from cliptrase.clip.weights import load_clip
from cliptrase.protocols.table import get_protocol
from datamodules.shapes_scenes import scene

WORDS, BACKGROUND = "wood, plank; apple; strawberry", "sky"


@pytest.fixture(scope="session")
def studio(text_cache: Path) -> Studio:
    protocol = get_protocol("photos", size=96, eps=0.5, min_samples=3)
    return Studio(load_clip("embedded"), protocol, cache_dir=text_cache)


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Neither side is whole patches at the protocol's size."""
    path = tmp_path_factory.mktemp("picture") / "my photo.png"
    Image.fromarray(np.ascontiguousarray(scene(12, "test").image[:150, :200])).save(path)
    return path


@pytest.fixture(scope="session")
def answer(studio: Studio, picture: Path) -> Answer:
    return studio.segment(studio.read(picture), WORDS, BACKGROUND, ["cliptrase", "vanilla"], "auto")
