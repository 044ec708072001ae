"""What pairs the runs of one page: differences from their counts by picture, or why there are none."""

from collections.abc import Sequence
from pathlib import Path

from cliptrase.common.errors import InputError
from cliptrase.evidence.pairing import AVERAGE, pair_runs
from cliptrase.evidence.told import Known
from cliptrase.evidence.verification import Verification, verify_run
from cliptrase.report.figures import AVERAGE as OF_PAGE
from cliptrase.report.figures import Beside, Paired, letter


def beside_first(paths: Sequence[Path], known: Known) -> Beside:
    """How runs stand beside the first of them; a run that does not hold together is paired with none.

    Args:
        paths: of the runs, two or more, in the page's order.
        known: data sets of this version.
    """
    runs: list[Verification | str] = []
    for path in paths:
        try:
            runs.append(verify_run(path, known))
        except InputError as error:
            runs.append(str(error))
    first, *others = runs
    pairs: dict[tuple[int, str, str], list[Paired]] = {}
    notes = []
    for number, other in enumerate(others, 1):
        reason = next((found for found in (first, other) if isinstance(found, str)), "")
        if reason or isinstance(first, str) or isinstance(other, str):
            notes.append(f"A and {letter(number)} are not paired: {reason}")
            continue
        try:
            pairing = pair_runs([first, other])
        except InputError as error:
            notes.append(f"A and {letter(number)} are not paired: {error}")
            continue
        for pair in pairing.pairs:
            setting = OF_PAGE if pair.setting == AVERAGE else pair.setting
            twin = pair.same_method and pair.one.method != next(iter(first.document["methods"]))
            row = Paired(pair.difference.value, pair.difference.interval, f"A {pair.one.method}", twin)
            pairs.setdefault((number, setting, pair.other.method), []).append(row)
        notes += [
            f"A and {letter(number)} are not paired on {left.setting}: {left.reason}." for left in pairing.unpaired
        ]
        if not pairing.pairs and not pairing.unpaired:
            notes.append(f"A and {letter(number)} have no data set in common.")
    return Beside(pairs, notes)
