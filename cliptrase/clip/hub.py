"""Weights from the network: whether they are cached or can be reached at all, and their download."""

import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from open_clip.pretrained import download_pretrained_from_hf

from cliptrase.clip.towers import HUB, THREE_WAYS
from cliptrase.common.errors import InputError, one_line

_ADDRESS = ("huggingface.co", 443)
_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_ENDPOINT")


def check_repository(clip: str) -> str:
    """The repository that `hf-hub:OWNER/NAME` names.

    Raises:
        InputError: it is no name of a repository.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, but not in its __all__

    place = clip.removeprefix(HUB)
    try:
        validate_repo_id(place)
    except HFValidationError as error:
        raise InputError(f"`clip` {clip}: a repository is OWNER/NAME, such as hf-hub:laion/CLIP") from error
    return place


def require(file: str, wanted: str) -> None:
    """Fails at once where a file is neither cached nor reachable: the hub's client retries for most of a minute.

    Args:
        file: `OWNER/NAME/FILE`, or `OWNER/NAME/` for the repository's weights.
        wanted: what the weights are of, for the message.

    Raises:
        InputError: see above.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    repository, _, name = file.rpartition("/")
    names = (name, f"{name.rsplit('.', 1)[0]}.safetensors", *_WEIGHTS) if name else _WEIGHTS
    if any(isinstance(try_to_load_from_cache(repository, candidate), str) for candidate in names):
        return
    if constants.HF_HUB_OFFLINE:
        raise InputError(f"the weights of {wanted} are not cached and HF_HUB_OFFLINE is set; {THREE_WAYS}")
    if any(os.environ.get(variable) for variable in _PROXIES):
        return
    try:
        socket.create_connection(_ADDRESS, timeout=5).close()
    except OSError as error:
        raise InputError(
            f"the weights of {wanted} are not cached and the network does not reach them ({one_line(error)}); "
            f"{THREE_WAYS}"
        ) from error


def download(repository: str, file: str | None, clip: str) -> Path:
    """A file of a repository, its weights where none is named.

    Raises:
        InputError: it cannot be had.
    """
    try:
        with quiet():
            return Path(download_pretrained_from_hf(repository, filename=file))
    except Exception as error:  # network, hub and file errors of many libraries
        raise InputError(f"`clip` {clip} cannot be had ({one_line(error)}); {THREE_WAYS}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps open_clip's log lines and its GELU warning out of the way: the activation is decided by `weights`."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="QuickGELU mismatch")
            yield
    finally:
        logging.disable(disabled)
