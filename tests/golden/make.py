"""Cuts the golden arrays of the tests out of the parity kit: `python -m tests.golden.make PARITY_FOLDER`."""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.kit.fixture import scene

HERE = Path(__file__).parent
SETTINGS = ("VOC20", "VOC21")
SEED = 200  # picture scene_<k> of the VOC folder is scene(SEED + k, height, width)
SIZES = ((333, 500), (375, 500), (500, 333), (300, 300), (224, 224), (200, 640))
WHOLE = (4, 5)  # pictures kept of protocol `detectron2`
ROWS = {224: 9, 336: 13}  # every so manyth token of the stages is kept
METHODS = ("11_224x224", "12_224x336")


def main(parity: Path) -> None:
    """Writes `paper.npz`, `detectron2.npz`, `stages.npz` and `scores.json`."""
    paper = {}
    for number, (height, width) in enumerate(SIZES):
        image, regions = scene(SEED + number, height, width)
        images, maps = (parity / "datasets/VOC2012" / f"{kind}_detectron2/val" for kind in ("images", "annotations"))
        assert np.array_equal(np.array(Image.open(images / f"scene_{number}.png")), image)
        raw = np.array(Image.open(maps / f"scene_{number}.png"))
        of_region = np.array([raw[5:][regions[5:] == index][0] for index in range(regions.max() + 1)])
        again = of_region[regions]
        again[:5] = 255
        assert np.array_equal(again, raw)
        paper[f"{number}/label_of_region"] = of_region.astype(np.int16)
    for setting in SETTINGS:
        for size in (224, 336):
            expected = np.load(parity / "expected" / f"{setting}_{size}.npz")
            assert list(expected["names"]) == [f"scene_{number}.png" for number in range(len(SIZES))]
            for key in ("predictions", "labels"):
                paper[f"{setting}/{size}/{key}"] = expected[key]
    np.savez_compressed(HERE / "paper.npz", **paper)

    whole = np.load(parity / "expected" / "detectron2_VOC20.npz")
    np.savez_compressed(HERE / "detectron2.npz", **{str(number): whole[f"scene_{number}.png"] for number in WHOLE})

    stages = {}
    full = np.load(parity / "expected" / "stages_VOC2012.npz")
    for size, step in ROWS.items():
        key = f"scene_0.png/{size}"
        stages[f"{size}/pixels"] = full[f"{key}/pixels"][:, ::7, ::7]
        stages[f"{size}/features"] = full[f"{key}/features"][::step]
        stages[f"{size}/correlation"] = full[f"{key}/correlation"][::step]
        stages[f"{size}/clusters"] = full[f"{key}/clusters"]
    for method, file in (("vanilla", "vanilla"), ("maskclip", "maskclip_clipexact")):
        features = np.load(parity / "methods" / f"{file}.npz")
        for case in METHODS:
            stages[f"{method}/{case}"] = features[f"{case}/features"][::9]
    stages["text"] = np.load(parity / "expected" / "text.npz")["VOC20"]
    np.savez_compressed(HERE / "stages.npz", **stages)

    scores = json.loads((parity / "expected" / "scores.json").read_text())
    kept = {
        f"{setting}_{size}": {key: scores[f"{setting}_{size}"][key] for key in ("pAcc", "mAcc", "fwIoU", "mIoU")}
        for setting in SETTINGS
        for size in (224, 336)
    }
    (HERE / "scores.json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
