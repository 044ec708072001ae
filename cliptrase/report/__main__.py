"""`python -m cliptrase.report`."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from cliptrase.console import complain, run
from cliptrase.errors import InputError
from cliptrase.io import require_other, write_text
from cliptrase.report.page import page
from cliptrase.report.reading import read_run


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes a page from old results.

    Returns:
        exit status: 0 where the page is written, 1 with a sentence where a file cannot be used.
    """
    parser = argparse.ArgumentParser(prog="python -m cliptrase.report", description="A page from runs' results.")
    parser.add_argument("results", nargs="+", type=Path, help="results.json of a run, or the run's folder")
    parser.add_argument(
        "--out", type=Path, help="default: report.html beside one results.json, comparison.html here for several"
    )
    options = parser.parse_args(arguments)
    first = options.results[0] if options.results[0].is_dir() else options.results[0].parent
    out = options.out or (first / "report.html" if len(options.results) == 1 else Path("comparison.html"))
    try:
        require_other(out, [path / "results.json" if path.is_dir() else path for path in options.results])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            runs = [read_run(path) for path in options.results]
        for warning in told:
            print(f"warning: {warning.message}", file=sys.stderr)
        write_text(out, page(runs))
    except InputError as error:
        return complain(str(error))
    print(f"report: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
