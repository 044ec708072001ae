"""Data sets that lie in another layout than is asked for, in two, or half."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bad_inputs.cases import QUIET, Case, changed, save_map

_VOC = Path("data/VOCdevkit/VOC2012")
_MADE = Path("data/VOC2012")


def scoring_voc(root: Path) -> list[str]:
    """`test` on VOC20 in mmsegmentation's folders, of the plain inputs."""
    for picture in sorted((root / "image").iterdir()):
        with Image.open(root / "gt" / f"{picture.stem}.png") as file:
            labels = np.array(file).astype(int)
        labels[labels != 255] += 1
        labels[:8] = 0
        held, made = root / _VOC, root / _MADE
        for folder in (held / "JPEGImages", made / "images_detectron2/val"):
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, folder)
        for folder, values in (
            (held / "SegmentationClass", labels),
            (made / "annotations_detectron2/val", np.where(labels == 0, 255, np.where(labels == 255, 255, labels - 1))),
        ):
            folder.mkdir(parents=True, exist_ok=True)
            save_map(folder / f"{picture.stem}.png", values)
    lists = root / _VOC / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("".join(f"{picture.stem}\n" for picture in sorted((root / "image").iterdir())))
    config = ["test", "--config", "configs/paper_224.yaml", "--config", str(root / "no_sheets.yaml"), *QUIET]
    config += ["--protocol.size", "64", "--trainer.default_root_dir", str(root / "out")]
    return [*config, "--data", "VOC20", "--data.root", str(root / "data"), "--model.clip", f"local-dir:{root / 'clip'}"]


def _case(name: str, *options: str, drop: tuple[str, ...] = (), empty: str = "", **end: str) -> Case:
    """A case in which some of the written folders or files are taken away, and a list may be emptied."""

    def arguments(root: Path) -> list[str]:
        made = scoring_voc(root)
        for place in drop:
            path = root / "data" / place
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if empty:
            (root / "data" / empty).write_text("")
        return made

    return changed(name, lambda root: None, *options, command=arguments, **end)  # type: ignore[arg-type]


def layout_cases() -> Iterator[Case]:
    """Wrong values of `--data.layout`, and folders of two layouts or of none."""
    made, held = "VOC2012", "VOCdevkit"
    listed = "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt"
    for value in ("mmsegmentation", "MMSEG", "", "[mmseg]", "1", "null", "../mmseg"):
        yield _case(f"layout {value!r}", f"--data.layout={value}", drop=(made,), end="refused", says="layout")
    yield _case("both layouts", end="refused", says="VOC20 lies in two layouts")
    yield _case("both layouts, one asked for", "--data.layout", "mmseg", end="told", says="SegmentationClass")
    yield _case(
        "mmseg asked for, detectron2 there", "--data.layout", "mmseg", drop=(held,), end="refused", says="mmseg"
    )
    yield _case(
        "detectron2 asked for, mmseg there", "--data.layout=detectron2", drop=(made,), end="refused", says="make"
    )
    yield _case("neither there", drop=(made, held), end="refused", says="VOC2012/SegmentationClass (mmseg)")
    yield _case("mmseg alone", drop=(made,), end="told", says="found in mmseg layout: VOC20")
    yield _case("detectron2 alone", drop=(held,), end="told", says="found in detectron2 layout: VOC20")
    yield _case("no list", drop=(made, listed), end="refused", says="val.txt")
    yield _case("an empty list", drop=(made,), empty=listed, end="refused", says="names no image")
    yield _case(
        "a label map is missing",
        drop=(made, "VOCdevkit/VOC2012/SegmentationClass/s1.png"),
        end="refused",
        says="no label map",
    )
    yield _case("a data set without that layout", "--data=PC459", "--data.layout=mmseg", end="refused", says="PC459")
    yield changed("a folder with a layout", lambda root: None, "--data.layout", "mmseg", end="refused", says="layout")

    def shifted(root: Path) -> list[str]:
        arguments = scoring_voc(root)
        for path in (root / _MADE / "annotations_detectron2/val").iterdir():
            with Image.open(path) as file:
                labels = np.array(file)
            save_map(root / _VOC / "SegmentationClass" / path.name, np.where(labels == 0, 1, labels))
        shutil.rmtree(root / _MADE)
        return arguments

    yield Case("maps of detectron2 in mmseg's place", shifted, "told", "do not look like label maps of mmseg layout")
