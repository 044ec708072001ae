"""What is told of a run: versions, commit, device, memory, the command as it can be typed again."""

import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

import cliptrase
from cliptrase.evaluation import provenance


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, from which the package seems to run."""
    folder = tmp_path / "checkout"
    (folder / "cliptrase" / "evaluation").mkdir(parents=True)
    (folder / "cliptrase" / "evaluation" / "provenance.py").write_text("# one\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "one")
    monkeypatch.setattr(provenance, "__file__", str(folder / "cliptrase" / "evaluation" / "provenance.py"))
    return folder


def test_commit(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    assert len(head) == 40
    assert provenance.commit() == head
    git(checkout, "tag", "--annotate", "v1", "--message", "a tag is no commit")
    assert provenance.commit() == head
    (checkout / "outputs.txt").write_text("files that git does not know say nothing of the code")
    assert provenance.commit() == head
    (checkout / "cliptrase" / "evaluation" / "provenance.py").write_text("# two\n")
    assert provenance.commit() == f"{head}-dirty"


def test_no_commit_outside_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "cliptrase" / "evaluation" / "provenance.py"))
    assert provenance.commit() is None
    (tmp_path / ".git").write_text("gitdir: nowhere")
    assert provenance.commit() is None


@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 10)])
def test_no_commit_without_git(checkout: Path, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert provenance.commit() is None


def test_versions() -> None:
    found = provenance.versions()
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["cliptrase"] == cliptrase.__version__
    assert found["python"].startswith("3.")
    assert {"pillow", "numpy", "open_clip_torch", "pytorch-lightning"} <= set(found)


def test_a_start_and_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [
        "/some/where/cli.py",
        "predict",
        "--data.words",
        "cat, kitten; dog",
        "--data.images",
        "my photos/*.jpg",
    ]
    monkeypatch.setattr(sys, "argv", arguments)
    start, cpu = provenance.Start.of_this_process(), torch.device("cpu")
    assert shlex.split(start.command) == ["cli.py", *arguments[1:]]
    age = datetime.now(UTC) - datetime.fromisoformat(start.date)
    assert 0 <= age.total_seconds() < 120
    assert f"{torch.get_num_threads()} threads" in provenance.device_name(cpu)
    assert 50 < provenance.peak_memory_mib(cpu) < 1 << 20
    assert start.platform
    assert len(start.sources) == 16
