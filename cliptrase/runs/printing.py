"""What a run that is done says on the terminal."""

from cliptrase.common.errors import counted, first_few
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.domain_lines import domain_tables
from cliptrase.evaluation.study_table import study_tables
from cliptrase.report.terminal import (
    comparison_table,
    domain_table,
    narrow_comparison_table,
    print_table,
    score_table,
    study_table,
)
from cliptrase.runs.run import Run


def print_results(run: Run) -> None:
    """Shows the scores, and says where the files are: every file is written, so that printing decides on none."""
    compared = Comparison(run.document)
    shown = run.results, run.protocol.label, compared.notes
    print_table(score_table(*shown), score_table(*shown, narrow=True))
    if len(run.results) > 1:
        print_table(comparison_table(compared), narrow_comparison_table(compared))
    for table in domain_tables(run.document):
        print_table(domain_table(table), domain_table(table, narrow=True))
    for study in study_tables(run.document):
        print_table(study_table(study), study_table(study, narrow=True))
    for name in ("results.json", "report.html"):
        if run.folder is not None and (path := run.folder / name).exists():
            print(f"{path.stem}: {path}")


def left_out_sentences(run: Run) -> list[str]:
    """What a run passed over, a sentence a data set; in the first process."""
    sentences = []
    for name, counts in run.finished.items():
        if counts and (stems := counts[run.main_method].left_out):
            pictures = f"{counted(len(stems), 'picture')} {'was' if len(stems) == 1 else 'were'}"
            why = "for the label maps hold nothing to score where the protocol looks"
            sentences.append(f"{name}: {pictures} left out, {why}: {first_few(stems)}")
    return sentences
