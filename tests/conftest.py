"""Fixtures of the whole suite."""

import os
import signal

# Before any library reads them: nothing is fetched, and one thread a process, since the tensors are tiny.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from cliptrase.clip.weights import LoadedClip, load_clip
from cliptrase.segmenter import Segmenter
from datamodules.spec import DatasetSpec
from tests.kit import save_tiny_clip, write_detectron2_tree

# A shell without job control starts what runs behind it with SIGINT ignored, nohup with SIGHUP, and children inherit
# that; the tests of signals send both to theirs.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

torch.set_num_threads(1)
settings.register_profile("project", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")

PARITY = Path(__file__).resolve().parents[2] / "shared" / "parity"


@pytest.fixture(scope="session", autouse=True)
def text_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The session's own cache of text classifiers: a vocabulary is encoded once, and nobody's cache is touched."""
    folder = tmp_path_factory.mktemp("text_cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIPTRASE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny CLIP; `--model.clip local-dir:{tiny_clip}`."""
    return save_tiny_clip(tmp_path_factory.mktemp("tiny_clip"))


@pytest.fixture(scope="session")
def loaded_clip(tiny_clip: Path) -> LoadedClip:
    """The tiny CLIP, loaded once; tests do not change it."""
    return load_clip(f"local-dir:{tiny_clip}")


@pytest.fixture(scope="session")
def segmenter(loaded_clip: LoadedClip, text_cache: Path) -> Segmenter:
    """CLIPtrase at 336 on the tiny CLIP; tests do not change it."""
    return Segmenter(loaded_clip, cache_dir=text_cache)


@pytest.fixture
def detectron2_tree(tmp_path: Path) -> Callable[..., Path]:
    """`detectron2_tree(spec, sizes=..., seed=...)` writes a small data set and gives the `--data.root` to name."""

    def write(spec: DatasetSpec, **options: object) -> Path:
        return write_detectron2_tree(tmp_path / "datasets", spec, **options)  # type: ignore[arg-type]

    return write


@pytest.fixture(scope="session")
def parity() -> Path:
    """What the released code gives, `parity/` of the facts shared beside the checkout."""
    if not PARITY.is_dir():
        pytest.skip("no ../shared/parity beside the checkout")
    return PARITY
