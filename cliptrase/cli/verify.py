"""`verify RUN ...`: every figure of a run again from its counts; `verify --model.clip ...`: are these the weights."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from cliptrase.common.console import complain
from cliptrase.common.errors import InputError
from cliptrase.common.options import Parser, answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks runs.

    Args:
        arguments: after the command's name; the process's own by default.

    Returns:
        exit status, 0 where nothing is wrong; see `cliptrase.common.options.answer`.
    """
    parser = Parser("verify", "Checks a run: every figure from its counts, every hash; without data or model.")
    parser.add_argument("run", nargs="+", type=Path, metavar="RUN", help="a run's folder, or its results.json")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    return answer(parser, _verify, arguments)


def _verify(options: argparse.Namespace) -> int:
    from cliptrase.cli.known import known_data
    from cliptrase.evidence.verification import verify_run

    known, records, status = known_data(), [], 0
    for path in options.run:
        try:
            found = verify_run(path, known)
        except InputError as error:
            status = 1
            records.append({"run": str(path), "verified": False, "error": str(error)})
            if not options.json:
                complain(str(error))
            continue
        status = status or int(not found.verified)
        records.append(found.record())
        if not options.json:
            for finding in found.findings:
                print(finding.sentence)
            if found.verified:
                print(found.verdict)
            else:
                complain(found.verdict)
    if options.json:
        print(json.dumps({"runs": records}, indent=2, ensure_ascii=False))
    return status
