"""Photographs the page of `app` in Chromium: an example scene by two methods, and what one of its patches attends to.

python -m scripts.app_picture docs/images/app.png
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.chromium import opened

ENTER = {"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}


def main() -> None:
    """Writes the picture."""
    parser = argparse.ArgumentParser(description="Photographs the page.")
    parser.add_argument("out", type=Path, help="PNG to write")
    parser.add_argument("--width", type=int, default=1280, help="of the window in pixels")
    parser.add_argument("--dark", action="store_true", help="as who prefers dark pages sees it")
    options = parser.parse_args()
    command = [sys.executable, "cli.py", "app", "--no-browser", "--port", "0"]
    root = Path(__file__).resolve().parent.parent
    with (
        tempfile.TemporaryDirectory() as profile,
        subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split()[1]
            with opened(address, Path(profile)) as tab:
                tab.wait("!!document.querySelector('#ct-examples button img')")
                tab.type("#ct-second input", "vanilla")
                tab.ask("Input.dispatchKeyEvent", **ENTER)
                tab.click("#ct-examples .gallery-item button")
                tab.wait("document.querySelectorAll('.ct-map').length == 2")
                tab.click(".ct-map", 0.5, 0.7)
                tab.wait("document.querySelectorAll('.ct-patch img').length == 3")
                tab.move("h1", 0.1, 0.1)
                tab.resize((options.width, 800), options.dark)
                tab.wait(f"innerWidth == {options.width} && document.documentElement.scrollWidth <= {options.width}")
                tab.wait(
                    "!document.getAnimations().some((one) => one instanceof CSSTransition)"
                )  # colours still change
                shown = Image.fromarray(tab.screenshot((options.width, 800), options.dark))
        finally:
            process.terminate()
    shown.quantize(256, dither=Image.Dither.NONE).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
