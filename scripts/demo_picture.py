"""Draws the README's picture: test scenes, their truth, plain CLIP and CLIPtrase by the embedded model.

python scripts/demo_picture.py docs/images/demo.png
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image, ImageDraw, ImageFont

from cliptrase import Segmenter, Vocabulary, get_protocol
from cliptrase.drawing.overlay import colourise, palette
from cliptrase.vocabulary import single_names
from datamodules.shapes_scenes import NAMES, scene

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = {"scene": None, "truth": None, "plain CLIP": "vanilla", "CLIPtrase": "cliptrase"}
GAP, HEAD = 6, 26


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description="Draws test scenes of the demo.")
    parser.add_argument("out", type=Path, help="PNG to write")
    parser.add_argument(
        "--scenes", type=int, nargs="+", default=[0, 4, 5, 12], help="numbers of test scenes, one a row"
    )
    options = parser.parse_args()
    protocol = get_protocol(yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())["protocol"])
    segmenter = Segmenter.from_pretrained("embedded", None, protocol, ["cliptrase", "vanilla"])
    classifier = segmenter.classifier(Vocabulary(single_names(NAMES)))
    drawn = [scene(number, "test") for number in options.scenes]
    images = torch.from_numpy(np.stack([picture.image for picture in drawn])).permute(0, 3, 1, 2)
    found = segmenter(images, classifier).labels
    size = drawn[0].image.shape[0]
    font = ImageFont.load_default(16)
    maps = [*(picture.labels for picture in drawn), *(labels.numpy() for labels in found.values())]
    seen = sorted({int(label) for labels in maps for label in np.unique(labels)})  # wrong ones, too
    legend = (len(seen) + 5) // 6 * HEAD
    width, height = len(COLUMNS) * (size + GAP) - GAP, HEAD + len(drawn) * (size + GAP) + legend
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (title, method) in enumerate(COLUMNS.items()):
        left = column * (size + GAP)
        draw.text((left + 4, 3), title, fill="black", font=font)
        for row, picture in enumerate(drawn):
            shown = picture.image if title == "scene" else colourise(picture.labels.astype(np.int64))
            if method is not None:
                shown = colourise(found[method][row].numpy())
            sheet.paste(Image.fromarray(shown), (left, HEAD + row * (size + GAP)))
    for place, label in enumerate(seen):
        x, y = place % 6 * (width // 6), height - legend + place // 6 * HEAD
        draw.rectangle((x, y + 4, x + 22, y + 20), fill=tuple(palette()[label].tolist()), outline="black")
        draw.text((x + 28, y + 3), NAMES[label], fill="black", font=font)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(options.out)


if __name__ == "__main__":
    main()
