"""Reads back what a run left."""

import json
from pathlib import Path

from cliptrase.errors import InputError
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.results import COLUMNS
from cliptrase.report.page import Run, figures_of, groups_of


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
        for row in Comparison(document).rows:
            if row.average:
                float(row.average.mIoU or 0)
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is not the results.json of a run ({type(error).__name__}: {error})") from error
    return run
