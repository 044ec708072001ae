"""Writes a small DINO with random weights from a fixed seed, for methods that read a guest: no download, no meaning.

python -m benchmarks.dino DIR
"""

import argparse
from pathlib import Path

from cliptrase.clip.guest_weights import load_guest
from tests.kit.dino import save_dino


def main(arguments: list[str] | None = None) -> None:
    """Writes the folder and says what is in it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dino", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", metavar="DIR", type=Path, help="is made; --model.guest takes it")
    folder = save_dino(parser.parse_args(arguments).folder)
    print(f"{folder}: random weights {load_guest(folder).weights_hash}, width 96, four blocks, patches of 8 pixels")


if __name__ == "__main__":
    main()
