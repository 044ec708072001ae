"""What a run that is done says on the terminal."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from cliptrase.common.errors import InputError, counted, first_few
from cliptrase.common.options import WIDTH
from cliptrase.common.sheets import print_sheets
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.domain_lines import domain_tables
from cliptrase.evaluation.published import published_beside
from cliptrase.evaluation.published_check import check_published
from cliptrase.evaluation.study_table import study_tables
from cliptrase.report.terminal import (
    comparison_sheet,
    domain_sheet,
    long_comparison_sheet,
    score_sheet,
    study_sheet,
)
from cliptrase.runs.run import Run


def print_results(run: Run) -> None:
    """Shows the scores, and says where the files are: every file is written, so that printing decides on none."""
    compared = Comparison(run.document)
    print_sheets(score_sheet(run.results, run.protocol.label, compared.notes))
    if len(run.results) > 1:
        print_sheets(comparison_sheet(compared), long_comparison_sheet(compared))
    for table in domain_tables(run.document):
        print_sheets(domain_sheet(table))
    for study in study_tables(run.document):
        print_sheets(study_sheet(study))
    for name in ("results.json", "report.html"):
        if run.folder is not None and (path := run.folder / name).exists():
            print(f"{path.stem}: {path}")


def say_written(folder: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Says what `predict` left: the run's folder, and below it each place with what it is."""
    print(f"written to {folder}:")
    column = 4 + max(len(place) for place, _ in rows)
    for place, what in rows:
        lines = textwrap.wrap(what, max(WIDTH - column, 20))
        print("\n".join(f"{'  ' + place if not line else '':{column}}{text}" for line, text in enumerate(lines)))


def require_published(run: Run, settings: Sequence[str]) -> None:
    """Refuses to check scores of which none is published, before any is computed.

    Raises:
        InputError: see above.
    """
    if not any(published_beside(run.protocol, method, name) for method in run.method_names for name in settings):
        raise InputError(
            f"no figure of this run can be checked: nobody publishes scores of {', '.join(run.method_names)} on "
            f"{', '.join(settings)} under protocol {run.protocol.label}; leave out --check published, or take a method "
            "with its authors' protocol (`list published`)"
        )


def say_published(run: Run) -> None:
    """Says how many figures are the published ones.

    Raises:
        InputError: one is not that should be, or there is none to check.
    """
    found = check_published(run.results)
    for one in found.off:
        print(f"check: {one.sentence}")
    if not found.passed:
        raise InputError(f"--check published: {found.sentence}")
    print(f"check: {found.sentence}")


def left_out_sentences(run: Run) -> list[str]:
    """What a run passed over, a sentence a data set; in the first process."""
    sentences = []
    for name, counts in run.finished.items():
        if counts and (stems := counts[run.main_method].left_out):
            pictures = f"{counted(len(stems), 'picture')} {'was' if len(stems) == 1 else 'were'}"
            why = "for the label maps hold nothing to score where the protocol looks"
            sentences.append(f"{name}: {pictures} left out, {why}: {first_few(stems)}")
    return sentences
