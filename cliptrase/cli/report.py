"""`report RUN ... --out FILE`: a page of runs' results."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from cliptrase.common.options import Parser, answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes a page of the results of older runs.

    Args:
        arguments: after the command's name; the process's own by default.

    Returns:
        exit status; see `cliptrase.common.options.answer`.
    """
    parser = Parser("report", "A page of runs' results: tables beside the published figures, classes, sheets.")
    parser.add_argument("run", nargs="+", type=Path, metavar="RUN", help="a run's folder, or its results.json")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="(report.html beside one RUN, comparison.html here for several)"
    )
    return answer(parser, _write, arguments)


def _write(options: argparse.Namespace) -> int:
    from cliptrase.common.io import require_other, write_text
    from cliptrase.report.load import read_run
    from cliptrase.report.page import page

    first = options.run[0] if options.run[0].is_dir() else options.run[0].parent
    out = options.out or (first / "report.html" if len(options.run) == 1 else Path("comparison.html"))
    require_other(out, [path / "results.json" if path.is_dir() else path for path in options.run])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        runs = [read_run(path) for path in options.run]
    for warning in told:
        print(f"warning: {warning.message}", file=sys.stderr)
    write_text(out, page(runs))
    print(f"report: {out}")
    return 0
