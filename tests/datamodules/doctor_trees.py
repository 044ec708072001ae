"""Data sets for the doctor, good until a test plants a fault, and its report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.doctor.command import main
from datamodules.spec import DatasetSpec
from datamodules.specs import DATASETS

SIZE = (20, 30)


def paths(root: Path, spec: DatasetSpec, number: int) -> tuple[Path, Path]:
    folder, stem = root / spec.folder, f"scene_{number}"
    ending = ".tif" if spec.ignore_label > 255 else ".png"
    labels = folder / spec.labels / f"{stem}{spec.label_suffix}{ending}"
    return folder / spec.images[0] / f"{stem}{spec.image_suffix}.jpg", labels


def save(path: Path, labels: NDArray[np.integer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels.astype(np.uint16 if path.suffix == ".tif" else np.uint8)).save(path)


def labels_of(root: Path, spec: DatasetSpec, number: int) -> NDArray[np.int64]:
    with Image.open(paths(root, spec, number)[1]) as file:
        return np.array(file).astype(np.int64)


def write(root: Path, spec: DatasetSpec, count: int = 6) -> None:
    """A good tree: six labels and some unlabelled pixels a map; every label somewhere if there are maps enough."""
    rng = np.random.default_rng(0)
    for number in range(count):
        image, labels = paths(root, spec, number)
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(image)
        content = np.repeat((np.arange(6) + 6 * number) % spec.valid_labels, SIZE[1] // 6)
        tiled = np.tile(content, (SIZE[0], 1))
        if spec.name != "COCOObject":
            tiled[:2] = spec.ignore_label
        save(labels, tiled)


def change(root: Path, spec: DatasetSpec, function: Any, count: int = 6) -> None:
    for number in range(count):
        save(paths(root, spec, number)[1], function(labels_of(root, spec, number)))


def card_of(name: str) -> DatasetSpec:
    return DATASETS[name]


def report(root: Path, *names: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    asked = ["--setting", *names] if names else []
    status = main(["--root", str(root), "--json", "--workers", "1", *asked])
    return status, json.loads(capsys.readouterr().out)


def findings(root: Path, name: str, capsys: pytest.CaptureFixture[str], status: int = 1) -> dict[str, str]:
    """Errors and warnings of a setting, kind to message; the exit status is checked."""
    got, found = report(root, name, capsys=capsys)
    assert got == status
    assert (found["errors"] > 0) == (status == 1)
    assert found["settings"][name]["state"] == ("faulty" if status else "good")
    return {
        finding["kind"]: finding["message"]
        for finding in found["settings"][name]["findings"]
        if finding["level"] in ("error", "warning") and finding["kind"] != "count"
    }
