"""The setting classes that the paper has no figures for."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import COCO80, COCO171, Benchmark, Cityscapes, COCOObject, DataError
from datamodules.specs import BENCHMARKS, DATASETS


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)


def test_benchmark_still_means_the_published_nine(tmp_path: Path) -> None:
    paper = list(BENCHMARKS["paper"])
    assert len(paper) == 9
    assert [spec.name for spec in Benchmark(root=tmp_path).specs] == paper
    assert set(DATASETS) - set(paper) - set(BENCHMARKS["mess"]) == {"Cityscapes", "COCOObject"}
    both = Benchmark(["Cityscapes", "COCOObject"], root=tmp_path)
    assert [spec.name for spec in both.specs] == ["Cityscapes", "COCOObject"]


def test_cityscapes_classes() -> None:
    spec = Cityscapes.spec
    assert len(spec.vocabulary.classes) == spec.valid_labels == 19
    assert spec.vocabulary.label_names[::6] == ("road", "traffic light", "rider", "bicycle")
    assert spec.vocabulary.background_index is None


def test_cocoobject_classes() -> None:
    spec, stuff = COCOObject.spec, COCO171.spec
    assert spec.vocabulary.classes == stuff.vocabulary.classes[:80]
    assert spec.vocabulary.background_index == 80
    assert spec.valid_labels == 81
    assert spec.images == stuff.images
    assert spec.labels != COCO80.spec.labels


def test_cityscapes_pairs_by_city(tmp_path: Path) -> None:
    folder = tmp_path / "cityscapes"
    for city in ("frankfurt", "lindau"):
        stem = f"{city}_000000_000294"
        write(folder / "leftImg8bit/val" / city / f"{stem}_leftImg8bit.png", np.zeros((8, 16, 3)))
        write(folder / "gtFine/val" / city / f"{stem}_gtFine_labelTrainIds.png", np.full((8, 16), 18))
        write(folder / "gtFine/val" / city / f"{stem}_gtFine_labelIds.png", np.full((8, 16), 33))
        write(folder / "gtFine/val" / city / f"{stem}_gtFine_color.png", np.zeros((8, 16, 3)))
    module = Cityscapes(root=tmp_path, num_workers=0)
    pairs = module.pairs(module.spec, with_labels=True)
    assert [pair.stem for pair in pairs] == ["frankfurt/frankfurt_000000_000294", "lindau/lindau_000000_000294"]
    assert all(pair.labels is not None and pair.labels.name.endswith("labelTrainIds.png") for pair in pairs)
    module.setup("test")
    item = module.datasets[0][0]
    assert item.labels is not None
    assert (item.labels == 18).all()


def test_cityscapes_without_train_ids_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "cityscapes"
    write(folder / "leftImg8bit/val/ulm/ulm_0_leftImg8bit.png", np.zeros((8, 16, 3)))
    write(folder / "gtFine/val/ulm/ulm_0_gtFine_labelIds.png", np.full((8, 16), 33))
    module = Cityscapes(root=tmp_path)
    with pytest.raises(DataError, match="no label maps whose names end in '_gtFine_labelTrainIds' in"):
        module.pairs(module.spec, with_labels=True)


def test_cocoobject_scores_background(tmp_path: Path) -> None:
    folder = tmp_path / "coco"
    labels = np.full((16, 16), 80)
    labels[:4] = 3
    write(folder / "val2017/a.png", np.zeros((16, 16, 3)))
    write(folder / "objects_detectron2/val2017/a.png", labels)
    module = COCOObject(root=tmp_path, num_workers=0)
    module.setup("test")
    item = module.datasets[0][0]
    assert item.labels is not None
    assert item.valid
    assert sorted(item.labels.unique().tolist()) == [3, 80]
