"""`compare MINE THEIRS ...`: paired differences between runs of different places, from their counts by picture."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from cliptrase.common.console import complain, remark
from cliptrase.common.errors import UsageError
from cliptrase.common.options import Parser, answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares runs.

    Args:
        arguments: after the command's name; the process's own by default.

    Returns:
        exit status, 0 where something could be paired; see `cliptrase.common.options.answer`.
    """
    return answer(parser(), _compare, arguments)


def parser() -> Parser:
    """The command's options."""
    own = Parser("compare", "Differences between runs of different places, with intervals; without data or model.")
    own.add_argument("run", nargs="+", type=Path, metavar="RUN", help="a run's folder, or its results.json")
    own.add_argument("--json", action="store_true", help="print JSON instead of tables")
    own.add_argument("--csv", action="store_true", help="print CSV instead of tables")
    return own


def _compare(options: argparse.Namespace) -> int:
    if len(options.run) < 2:
        raise UsageError("compare needs two runs or more, the first of which the others are compared with")
    if options.json and options.csv:
        raise UsageError("--json and --csv ask for two forms of one answer; take one")
    from cliptrase.cli.known import known_data
    from cliptrase.common.sheets import print_sentence, print_sheets
    from cliptrase.evidence.pairing import MOST_RUNS, pair_runs
    from cliptrase.evidence.pairing_tables import pairing_csv, pairing_sheets
    from cliptrase.evidence.verification import verify_run

    if len(options.run) > MOST_RUNS:
        raise UsageError(f"compare takes at most {MOST_RUNS} runs, not {len(options.run)}")
    known = known_data()
    runs = [verify_run(path, known) for path in options.run]
    pairing = pair_runs(runs)
    for run in runs:
        for finding in run.findings:  # of another version; all else was refused
            remark(f"{run.name}: {finding.sentence}")
    if options.json:
        print(json.dumps(pairing.record(), indent=2, ensure_ascii=False))
    elif options.csv:
        print(pairing_csv(pairing), end="")
    else:
        for origin in pairing.origins:
            print_sentence(origin)
        for table in pairing_sheets(pairing):
            print_sheets(table)
        for letter, names in pairing.differing.items():
            found = f"differ in: {', '.join(names)}" if names else "were made alike"
            print_sentence(f"A and {letter} {found}.")
        for left in pairing.unpaired:
            print_sentence(f"{left.sentence}.")
    if pairing.pairs:
        return 0
    if pairing.unpaired:
        return complain(f"nothing was counted on equal data; {pairing.unpaired[0].sentence}")
    return complain("the runs have no data set in common; compare runs that scored the same one")
