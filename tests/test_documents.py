"""Documents say what the code says."""

import re
from pathlib import Path

from datamodules.benchmark import SETTINGS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_the_published_table_is_the_cards() -> None:
    rows = dict(re.findall(r"^\| (\w+) \| ([\d. |/]+) \|$", README, flags=re.M))
    for name, module in SETTINGS.items():
        figures = [*module.spec.published["paper 224"], *module.spec.published["paper 336"]]
        assert [float(figure) for figure in rows[name].split("|")] == figures


def test_every_path_that_is_named_exists() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md"):
        text = (ROOT / name).read_text()
        for path in re.findall(r"`((?:cliptrase|datamodules|tests|configs|docs|\.ci)/[\w./]+\w)`", text):
            if "my_rooms" not in path and "NAME" not in path:
                assert (ROOT / path).exists(), f"{name} names {path}"
        for path in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (ROOT / path).exists(), f"{name} links {path}"


def test_every_measurement_that_is_named_is_kept_and_the_reverse() -> None:
    named = set(re.findall(r"`results/([\w.-]+\.csv)`", (ROOT / "benchmarks" / "README.md").read_text()))
    assert named == {path.name for path in (ROOT / "benchmarks" / "results").glob("*.csv")}
