"""Cuts `methods.npz`, `slide.npz` and `refinements.npz` out of the parity kit.

python -m tests.golden.make_methods PARITY_FOLDER
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CASES = ("11_224x224", "11_336x336", "12_224x336")  # native, another square, not square
NEWER = ("pearl", "proxyclip", "sfp")
SLIDES = {"slide_sclip": 21, "slide_sclip_shifted": 22}  # number of the scene that each shows
REFINED = {"pamr": "refined", "tlp": "propagated"}  # what each file calls its result
PATCHES = 5  # rows kept of each case, the last among them


def main(parity: Path) -> None:
    """Writes a few rows of every file that holds a method's features: `<file>/<case>/features`, `/cls` and `/dino`."""
    kept = {}
    stored = [*(parity / "methods").glob("*.npz"), *(parity / "methods2" / f"{name}.npz" for name in NEWER)]
    for path in sorted(stored):
        found = np.load(path)
        if path.stem == "resclip":  # which reads the names
            kept["resclip/text"] = found["text"]
        for case in CASES:
            for key in ("features", "dino"):
                if (name := f"{case}/{key}") in found:
                    rows = found[name]
                    kept[f"{path.stem}/{name}"] = rows[np.linspace(0, len(rows) - 1, PATCHES, dtype=int)]
            if f"{case}/patch_labels" in found:
                kept[f"{path.stem}/{case}/patch_labels"] = found[f"{case}/patch_labels"]
            if f"{case}/cls" in found:
                kept[f"{path.stem}/{case}/cls"] = found[f"{case}/cls"]
    np.savez_compressed(HERE / "methods.npz", **kept)
    slide = {}
    for name, scene in SLIDES.items():
        found = np.load(parity / "methods" / f"{name}.npz")
        slide |= {f"{scene}/text": found["text"], f"{scene}/pred": found["pred"]}
    np.savez_compressed(HERE / "slide.npz", **slide)
    refined = {}
    for name, result in REFINED.items():
        found = np.load(parity / "methods2" / f"{name}.npz")
        for key in found.files:
            rows = found[key]
            refined[f"{name}/{key}"] = rows[:, :: len(rows[0]) // 6] if key.endswith(result) else rows
    np.savez_compressed(HERE / "refinements.npz", **refined)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
