"""Fenced blocks of a document, and the commands in them.

    python tests/documents.py PAGE --program cliptrase

runs a page's commands in the working folder by an installed program, as a reader would. A block below the line
`<!-- needs data -->` is not run. A block of Python or YAML whose first line is a comment with a file's name is that
file.
"""

import argparse
import glob
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"^(?P<data><!-- needs data -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_FILE = re.compile(r"# (\S+\.(?:py|yaml|txt))\n")
_PROGRAMS = (["uv", "run", "python", "cli.py"], ["python", "cli.py"], ["cliptrase"])
_INSTALLS = ("pip", "uv", "conda")


class Block(NamedTuple):
    """A fenced block."""

    language: str
    text: str
    needs_data: bool

    @property
    def file(self) -> str:
        """Name of the file that the block is; empty where it is none."""
        match = _FILE.match(self.text)
        return match[1] if match else ""


def blocks(path: Path) -> list[Block]:
    """All blocks of a document, in order."""
    found = _FENCE.finditer(path.read_text(encoding="utf-8"))
    return [Block(match["language"], match["text"], match["data"] is not None) for match in found]


def commands(block: Block) -> Iterator[list[str]]:
    """Arguments of each command of the project in a block of shell, patterns of files filled in.

    Raises:
        ValueError: a line that is no command of the project, nor one that installs it.
    """
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        program = next((start for start in _PROGRAMS if words[: len(start)] == start), None)
        if program is None:
            if words and words[0] not in _INSTALLS:
                raise ValueError(f"{line!r} is no command of this project")
            continue
        yield [name for word in words[len(program) :] for name in (sorted(glob.glob(word)) or [word])]


def main() -> int:
    """Runs a page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--program", default="cliptrase")
    options = parser.parse_args()
    for block in blocks(options.page):
        if block.file:
            Path(block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "sh" and not block.needs_data:
            for arguments in commands(block):
                print("+", options.program, shlex.join(arguments), flush=True)
                if status := subprocess.call([options.program, *arguments]):
                    return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
