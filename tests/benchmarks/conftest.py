"""Benchmarks on the tiny CLIP, so that what they do is tried in seconds; what they give is no figure."""

import pytest

from benchmarks import subjects
from cliptrase.clip.weights import LoadedClip


@pytest.fixture
def tiny_subject(loaded_clip: LoadedClip, monkeypatch: pytest.MonkeyPatch) -> LoadedClip:
    """Every architecture is the tiny one."""
    monkeypatch.setattr(subjects, "random_clip", lambda architecture: loaded_clip)
    monkeypatch.setattr(subjects, "random_tower", lambda architecture, size=None: loaded_clip.model)
    return loaded_clip
