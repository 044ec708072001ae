"""Documents say what the code says, and their commands run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from cliptrase.cli import main
from cliptrase.evaluation.published import elsewhere_rows, published_beside, published_systems
from cliptrase.protocols.table import get_protocol
from datamodules.shapes_scenes import scene
from datamodules.specs import BENCHMARKS
from tests.children import call
from tests.documents import Block, blocks, commands

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]


def run_block(block: Block) -> int:
    """Runs a block in the working folder, in this process: of shell its commands, of Python its lines."""
    if block.file:
        Path(block.file).write_text(block.text, encoding="utf-8")
    elif block.language == "python":
        exec(compile(block.text, "<document>", "exec"), {"__name__": "__main__"})
    elif block.language == "sh":
        for arguments in commands(block):
            if status := main(arguments):
                print(f"{arguments} ended with {status}", file=sys.stderr)
                return status
    return 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_shows_runs(page: Path, tmp_path: Path) -> None:
    """Every block in order, in one folder, as a reader would; a block that needs data is only read."""
    Image.fromarray(scene(7, "test").image).save(tmp_path / "image.png")

    def read() -> int:
        os.chdir(tmp_path)
        sys.path.insert(0, str(tmp_path))
        return next((status for block in shown if (status := run_block(block))), 0)

    shown = [block for block in blocks(page) if not block.needs_data]
    outcome = call(read, timeout=300)
    assert outcome.status == 0, outcome.err + outcome.out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_needs_data_is_a_command_all_the_same(page: Path) -> None:
    for block in blocks(page):
        if block.needs_data and "python -m benchmarks" not in block.text:
            list(commands(block)) if block.language == "sh" else compile(block.text, str(page), "exec")


def test_the_documentation_builds(tmp_path: Path) -> None:
    """Every link, every name that a page documents; nothing is fetched."""
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert built.returncode == 0, built.stderr
    pages = "".join(path.read_text() for path in (tmp_path / "site").rglob("*.html"))
    assert not re.search(r'<(?:script|link|img)[^>]*(?:src|href)="https?://(?!github\.com)', pages)


def test_the_readme_can_be_read_in_one_go() -> None:
    assert 6000 <= len((ROOT / "README.md").read_text()) <= 7000


def test_the_published_table_is_that_of_the_file() -> None:
    page = (ROOT / "docs" / "comparing.md").read_text()
    rows = dict(re.findall(r"^\| (\w+) \| ([\d. |]+) \|$", page, flags=re.M))
    for name in BENCHMARKS["paper"]:
        published = [published_beside(get_protocol("paper", size=size), "cliptrase", name) for size in (224, 336)]
        assert [float(score) for score in rows[name].split("|")] == [
            score for row in published if row for score in row[:4]
        ]


def test_the_table_of_other_systems_is_that_of_the_file() -> None:
    page = (ROOT / "docs" / "comparing.md").read_text()
    table = page[page.index("| system | source |") :].partition("\n\n")[0].replace("`", "")
    heads, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    others = [system for system in published_systems() if system.system != "CLIPtrase"]
    assert [heads, *lines] == elsewhere_rows(others, BENCHMARKS["sclip"])


def test_every_path_that_is_named_exists() -> None:
    for page in DOCUMENTS:
        text = page.read_text()
        for path in re.findall(r"`((?:cliptrase|datamodules|tests|configs|docs|\.ci)/[\w./]+\w)`", text):
            if "NAME" not in path:
                assert (ROOT / path).exists(), f"{page.name} names {path}"
        for path in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (page.parent / path).exists(), f"{page.name} links {path}"


def test_every_measurement_that_is_named_is_kept_and_the_reverse() -> None:
    named = set(re.findall(r"`results/([\w.-]+\.csv)`", (ROOT / "benchmarks" / "README.md").read_text()))
    assert named == {path.name for path in (ROOT / "benchmarks" / "results").glob("*.csv")}


def test_the_navigation_names_every_page() -> None:
    class Loader(yaml.SafeLoader):
        """Reads mkdocs.yml."""

    navigation = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)["nav"]
    assert set(re.findall(r"[\w]+\.md", str(navigation))) == {page.name for page in (ROOT / "docs").glob("*.md")}
