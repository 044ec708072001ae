"""Tiny data sets in the layout that MESS's preparation makes, written down here a second time."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Image, label map and number of labels of each data set.
LAYOUT: dict[str, tuple[str, str, int]] = {
    "BDD100K": ("bdd100k/images/10k/val/{}.jpg", "bdd100k/annotations_detectron2/val/{}.png", 19),
    "Dark_Zurich": (
        "Dark_Zurich/rgb_anon/val/night/GOPR0356/{}_rgb_anon.png",
        "Dark_Zurich/annotations_detectron2/val/{}_gt_labelIds.png",
        20,
    ),
    "MHP_v1": ("LV-MHP-v1/images_detectron2/test/{}.jpg", "LV-MHP-v1/annotations_detectron2/test/{}.png", 19),
    "FoodSeg103": ("FoodSeg103/Images/img_dir/test/{}.jpg", "FoodSeg103/Images/ann_dir/test/{}.png", 104),
    "ATLANTIS": ("atlantis/images_detectron2/test/{}.jpg", "atlantis/annotations_detectron2/test/{}.png", 56),
    "DRAM": ("DRAM_processed/images_detectron2/test/{}.jpg", "DRAM_processed/annotations_detectron2/test/{}.png", 12),
    "iSAID": ("isaid/images_detectron2/val/{}.png", "isaid/annotations_detectron2/val/{}.png", 16),
    "ISPRS_Potsdam": (
        "ISPRS_Potsdam/images_detectron2/test/irrg/{}.png",
        "ISPRS_Potsdam/annotations_detectron2/test/{}.png",
        6,
    ),
    "WorldFloods": (
        "WorldFloods/images_detectron2/test/irrg/{}.png",
        "WorldFloods/annotations_detectron2/test/{}.png",
        3,
    ),
    "FloodNet": (
        "FloodNet-Supervised_v1.0/images_detectron2/test/{}.jpg",
        "FloodNet-Supervised_v1.0/annotations_detectron2/test/{}.png",
        10,
    ),
    "UAVid": ("uavid_v1.5/images_detectron2/val/{}.png", "uavid_v1.5/annotations_detectron2/val/{}.png", 8),
    "Kvasir-Instrument": (
        "kvasir-instrument/images_detectron2/test/{}.png",
        "kvasir-instrument/annotations_detectron2/test/{}.png",
        2,
    ),
    "CHASE_DB1": ("CHASEDB1/images_detectron2/test/{}.jpg", "CHASEDB1/annotations_detectron2/test/{}.png", 2),
    "CryoNuSeg": ("CryoNuSeg/images_detectron2/{}.png", "CryoNuSeg/annotations_detectron2/{}.png", 2),
    **{
        f"PAXRay-{part}": (
            "paxray_dataset/images_detectron2/test/{}.png",
            f"paxray_dataset/annotations_detectron2/test/{part.lower()}/{{}}.png",
            2,
        )
        for part in ("Lungs", "Mediastinum", "Bones", "Diaphragm")
    },
    "Corrosion_CS": (
        "Corrosion Condition State Classification/original/Test/images/{}.jpeg",
        "Corrosion Condition State Classification/original/Test/masks/{}.png",
        4,
    ),
    "DeepCrack": ("DeepCrack/test_img/{}.jpg", "DeepCrack/annotations_detectron2/test/{}.png", 2),
    "PST900": ("PST900_RGBT_Dataset/test/thermal/{}.png", "PST900_RGBT_Dataset/test/labels/{}.png", 5),
    "ZeroWaste-f": (
        "zerowaste-f/splits_final_deblurred/test/data/{}.PNG",
        "zerowaste-f/splits_final_deblurred/test/sem_seg/{}.PNG",
        5,
    ),
    "SUIM": ("SUIM/TEST/images/{}.jpg", "SUIM/annotations_detectron2/test/{}.png", 8),
    "CUB-200": ("CUB_200_2011/images_detectron2/test/{}.jpg", "CUB_200_2011/annotations_detectron2/test/{}.png", 201),
    "CWFID": ("cwfid/images/{}_image.png", "cwfid/annotations_detectron2/test/{}_annotation.png", 3),
}
STEMS = ("001", "002")  # the same in every data set, as the numbers of some of them are
SIZE = (32, 40)


def picture(name: str, number: int) -> NDArray[np.uint8]:
    """(H, W, 3), grey for a thermal camera; the parts of PAXRay share theirs."""
    rng = np.random.default_rng([len(name.partition("-")[0]), *name.partition("-")[0].encode(), number])
    values = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return np.repeat(values[..., :1], 3, axis=2) if name == "PST900" else values


def labels(name: str, number: int) -> NDArray[np.uint8]:
    """(H, W): tiles of up to eight labels, and one that nobody labelled."""
    count = LAYOUT[name][2]
    rng = np.random.default_rng([*name.encode(), number])
    tiles = rng.integers(0, count, (2, 4))
    tiles[0, :2] = (0, 1)
    if count > 2:
        tiles[1, 3] = 255
    return np.kron(tiles, np.ones((SIZE[0] // 2, SIZE[1] // 4), int)).astype(np.uint8)


def write_mess_tree(root: Path, names: Iterable[str] = LAYOUT) -> Path:
    """Two pairs a data set; CWFID's folder of images holds one of another split, too."""
    for name in names:
        for number, stem in enumerate(STEMS):
            image, maps = (root / pattern.format(stem) for pattern in LAYOUT[name][:2])
            for path in (image, maps):
                path.parent.mkdir(parents=True, exist_ok=True)
            shown = picture(name, number)
            Image.fromarray(shown[..., 0] if name == "PST900" else shown).save(image)
            Image.fromarray(labels(name, number)).save(maps)
        if name == "CWFID":
            Image.fromarray(picture(name, 2)).save(root / LAYOUT[name][0].format("003"))
    return root
