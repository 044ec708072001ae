"""A page that a person reads: figures beside the published ones, classes, example sheets, and how they were made.

The page needs no network: styles and pictures are in it. A run writes it beside `results.json`; from older runs, or
from several for a side-by-side:

    python -m cliptrase.report results.json [more.json ...] [--out FILE]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cliptrase.comparison import Comparison
from cliptrase.errors import InputError
from cliptrase.report_page import Run, figures_of, groups_of, page
from cliptrase.results import COLUMNS, write_text


def read_run(path: Path) -> Run:
    """Reads a run from its `results.json` or its folder.

    Raises:
        InputError: the file is missing or is not a run's results.
    """
    file = path / "results.json" if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        index = file.parent / "sheets" / "sheets.json"
        lines = json.loads(index.read_text(encoding="utf-8"))["sheets"] if index.exists() else []
        sheets = [{**line, "picture": (index.parent / line["file"]).read_bytes()} for line in lines]
        run = Run(file.resolve().parent.name, document, sheets)
        for *_, result in run.rows:
            for group in groups_of(result):
                figures = figures_of(result, group)
                dict.fromkeys(float(figures[column] or 0) for column in COLUMNS)
        dict.fromkeys(row.average for row in Comparison(document).rows)
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is not the results.json of a run ({type(error).__name__}: {error})") from error
    return run


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
        write_text(out, page([read_run(path) for path in options.results]))
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"report: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
