"""`report RUN ... --out FILE`: a page of runs' results."""

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

from cliptrase.common.console import remark
from cliptrase.common.errors import InputError, counted
from cliptrase.common.options import Parser, answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes a page of the results of older runs.

    Args:
        arguments: after the command's name; the process's own by default.

    Returns:
        exit status; see `cliptrase.common.options.answer`.
    """
    return answer(parser(), _write, arguments)


def parser() -> Parser:
    """The command's options."""
    own = Parser("report", "A page of runs' results: tables beside the published figures, classes, sheets.")
    own.add_argument(
        "run",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="a run's folder, or its results.json; or a folder of runs of many people",
    )
    own.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="(report.html beside one RUN, comparison.html here for several, community.html in a folder of runs)",
    )
    return own


def _write(options: argparse.Namespace) -> int:
    from cliptrase.cli.known import known_data
    from cliptrase.common.io import require_other, write_text
    from cliptrase.evidence.community import run_folders
    from cliptrase.evidence.pairing_page import beside_first
    from cliptrase.report.load import read_run
    from cliptrase.report.page import page

    if any(run_folders(path) for path in options.run):
        return _community(options)
    first = options.run[0] if options.run[0].is_dir() else options.run[0].parent
    out = options.out or (first / "report.html" if len(options.run) == 1 else Path("comparison.html"))
    require_other(out, [path / "results.json" if path.is_dir() else path for path in options.run])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        runs = [read_run(path) for path in options.run]
    for warning in told:
        remark(str(warning.message), "warning")
    beside = beside_first(options.run, known_data()) if len(runs) > 1 else None
    write_text(out, page(runs, beside))
    print(f"report: {out}")
    return 0


def _community(options: argparse.Namespace) -> int:
    """The page of all runs below some folders."""
    from cliptrase.cli.known import known_data
    from cliptrase.common.io import require_other, write_text
    from cliptrase.evidence.community import gather, run_folders
    from cliptrase.evidence.community_html import community_page

    for path in options.run:
        if not run_folders(path):
            raise InputError(
                f"{path} holds no folders of runs, as another place does; name either runs or such folders"
            )
    out = options.out or options.run[0] / "community.html"
    require_other(out, [run / "results.json" for path in options.run for run in run_folders(path)])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = gather(options.run, known_data())
    for warning in told:
        remark(str(warning.message), "warning")
    write_text(out, community_page(found))
    print(f"verified: {found.runs} of {counted(found.runs + len(found.refused), 'run')}")
    print(f"report: {out}")
    return 0
