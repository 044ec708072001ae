"""How a figure was made: versions, commit, device, memory."""

import hashlib
import platform
import resource
import shlex
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

_PACKAGES = (
    "torch",
    "pytorch-lightning",
    "open_clip_torch",
    "timm",
    "torchmetrics",
    "albumentations",
    "tensorboard",
    "numpy",
    "pillow",
)
_STDLIB = sysconfig.get_paths()["stdlib"]


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of what it builds on."""
    from cliptrase import __version__

    return {
        "cliptrase": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
    }


def commit() -> str | None:
    """Commit of the checkout that this package runs from, `-dirty` where files differ from it; None elsewhere."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def device_name(device: torch.device) -> str:
    """Model of the processor that runs the work."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {torch.get_num_threads()} threads"
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"


def peak_memory_mib(device: torch.device) -> int:
    """Most memory held so far in MiB: allocated on a CUDA device, else resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) >> 20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> 20 if sys.platform == "darwin" else peak >> 10


def now() -> str:
    """Date and time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def sources() -> str:
    """SHA-256, 16 hexadecimal digits, of the code that runs: this package's, the data modules' and the user's own.

    The user's own is every module that is loaded and was not installed: a script, and what it imports from beside it.
    """
    loaded = {name: Path(file) for name, module in sys.modules.copy().items() if (file := _file_of(module))}
    packages = [loaded[name].parent for name in ("cliptrase", "datamodules") if name in loaded]
    files = {file for package in packages for file in package.rglob("*.py")}
    files |= {file for file in loaded.values() if not _installed(file)}
    hashes = sorted((file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files if file.is_file())
    return hashlib.sha256(repr(hashes).encode()).hexdigest()[:16]


def _file_of(module: Any) -> str | None:
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) and file.endswith(".py") else None


def _installed(file: Path) -> bool:
    """Whether a module came with Python or an installed package."""
    return bool({"site-packages", "dist-packages"} & set(file.parts)) or file.is_relative_to(_STDLIB)


@dataclass(frozen=True)
class Start:
    """What there is to say of a run when it starts: a checkout may be another one when it ends.

    Attributes:
        date: in UTC.
        command: as typed.
        commit: see `commit`.
        sources: see `sources`.
        versions: see `versions`.
        platform: operating system and processor.
    """

    date: str
    command: str
    commit: str | None
    sources: str
    versions: dict[str, str]
    platform: str

    @classmethod
    def of_this_process(cls) -> "Start":
        """As of now."""
        command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
        return cls(now(), command, commit(), sources(), versions(), platform.platform())
