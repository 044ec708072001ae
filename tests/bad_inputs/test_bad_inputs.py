"""Hundreds of bad inputs end with a sentence or with the right figure: no traceback, no hang, no other figure.

The inputs are data in this folder. Each runs as a whole command in a forked child, two at a time.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cliptrase.cli import main
from cliptrase.cli.report import main as report
from cliptrase.common.console import run as process
from tests.bad_inputs import choices, colours, files, layouts, places, words
from tests.bad_inputs.cases import ROOT_OF_CASE, Case, scoring, write_plain_inputs
from tests.children import CRASHED, FORK, Outcome, call

GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    "pictures": files.picture_cases,
    "label maps": files.map_cases,
    "colours": colours.colour_cases,
    "folders": files.folder_cases,
    "layouts": layouts.layout_cases,
    "class lists": words.list_cases,
    "words": words.word_cases,
    "options": choices.option_cases,
    "configurations": choices.config_cases,
    "page": choices.page_cases,
    "models": choices.model_cases,
    "places": places.place_cases,
    "streams": places.stream_cases,
    "run folders": places.run_cases,
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inputs with nothing wrong, and a run on them in `out/`."""
    root = tmp_path_factory.mktemp("plain") / "inputs"
    write_plain_inputs(root)
    sheets = ["--config", "configs/base.yaml"]  # the last one's callbacks are taken
    outcome = run([*scoring(root), *sheets, "--protocol.size", "64"])
    assert outcome.status == 0, outcome.err
    return root


def run(arguments: list[str], before: Callable[[], object] = lambda: None) -> Outcome:
    command, rest = (report, arguments[1:]) if arguments[:1] == ["report"] else (main, arguments)
    return call(lambda: process(lambda: command(rest)), before=before)


def figures(root: Path) -> list[dict[str, Any]]:
    """Scores in the newest run of `out/`, whatever the data set is called; none where it has no results."""
    folders = sorted(root.glob("out/*/"))
    if not folders or not (folders[-1] / "results.json").is_file():
        return []
    document = json.loads((folders[-1] / "results.json").read_text())
    return [{**result["scores"]["released"], "images": result["images"]} for result in document["settings"].values()]


def complaint(case: Case, root: Path, plain: Path) -> str:
    """Runs a case in a copy of the plain inputs and says what is wrong with its end, if anything."""
    shutil.copytree(plain, root, symlinks=True)
    resumed = case.name.startswith(("resume", "report", "verify"))
    if not resumed:
        shutil.rmtree(root / "out")
    with FORK:  # it may work with tensors
        arguments = case.arguments(root)

    def before() -> None:
        os.environ[ROOT_OF_CASE] = str(root)
        case.before()

    outcome = run(arguments, before)
    printed = outcome.out + outcome.err
    wrong = []
    if outcome.hung:
        wrong.append("it hangs")
    if outcome.status == CRASHED or "Traceback (most recent call last)" in printed:
        wrong.append(f"a traceback: {printed.strip().splitlines()[-1:]}")
    elif outcome.status not in (0, 1, 2):
        wrong.append(f"status {outcome.status}: {printed[-200:]!r}")
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    if outcome.status in (1, 2) and not errors and not case.name.startswith("standard error"):
        wrong.append(f"status {outcome.status} without a sentence: {printed[-200:]!r}")
    if case.end == "refused" and outcome.status == 0:
        wrong.append("it is not refused")
    if case.end in ("right", "told") and outcome.status != 0:
        wrong.append(f"it is refused: {errors}")
    if case.says and case.says not in printed:
        wrong.append(f"it does not say {case.says!r}: {printed[-300:]!r}")
    tested = arguments[:1] == ["test"]
    if tested and case.end in ("right", "either") and outcome.status == 0 and figures(root) != figures(plain):
        wrong.append(f"another figure without a word: {figures(root)} for {figures(plain)}")
    if case.end == "refused" and tested and figures(root):
        wrong.append("it leaves a figure")
    if (root / "touched").exists() or Path("touched").exists():
        wrong.append("code of the input was run")
    shutil.rmtree(root)
    return "; ".join(wrong)


@pytest.mark.parametrize("group", GROUPS)
def test_bad_inputs(group: str, plain: Path, tmp_path: Path) -> None:
    cases = list(GROUPS[group]())
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), [name for name in names if names.count(name) > 1]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda n: complaint(cases[n], tmp_path / str(n), plain), range(len(cases))))
    wrong = {case.name: sentence for case, sentence in zip(cases, found, strict=True) if sentence}
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(
        f"- {name}: {text}" for name, text in wrong.items()
    )


def test_there_are_hundreds() -> None:
    assert sum(len(list(cases())) for cases in GROUPS.values()) > 300
