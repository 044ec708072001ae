"""`verify RUN ...`: every figure of a run again from its counts; `verify --model.clip ...`: are these the weights."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from cliptrase.cli.model_options import add_model
from cliptrase.common.console import complain
from cliptrase.common.errors import InputError, UsageError
from cliptrase.common.options import Parser, answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks runs, or weights.

    Args:
        arguments: after the command's name; the process's own by default.

    Returns:
        exit status, 0 where nothing is wrong; see `cliptrase.common.options.answer`.
    """
    return answer(parser(), _verify, arguments)


def parser() -> Parser:
    """The command's options."""
    own = Parser(
        "verify",
        "Checks a run: every figure from its counts, every hash; without data or model. Or checks weights: their file, "
        "text embeddings and activation against those of OpenAI's ViT-B/16.",
    )
    own.add_argument("run", nargs="*", type=Path, metavar="RUN", help="a run's folder, or its results.json")
    own.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_model(own, None, "weights to check, as `test` names them")
    own.add_argument("--facts", type=Path, metavar="FILE", help="facts of other weights (OpenAI's ViT-B/16)")
    return own


def _verify(options: argparse.Namespace) -> int:
    if options.clip is None:
        if options.pretrained is not None or options.facts is not None:
            raise UsageError("--model.pretrained and --facts are for weights; name their architecture by --model.clip")
        if not options.run:
            raise UsageError("verify needs a run's folder, or weights by --model.clip and --model.pretrained")
        return _runs(options)
    if options.run:
        raise UsageError(f"verify checks runs or weights; leave out {options.run[0]} or --model.clip")
    return _weights(options)


def _runs(options: argparse.Namespace) -> int:
    from cliptrase.cli.known import known_data
    from cliptrase.common.sheets import print_sentence
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
                print_sentence(finding.sentence)
            if found.verified:
                print_sentence(found.verdict)
            else:
                complain(found.verdict)
    if options.json:
        print(json.dumps({"runs": records}, indent=2, ensure_ascii=False))
    return status


def _weights(options: argparse.Namespace) -> int:
    from cliptrase.clip.towers import OWN_WEIGHTS, check, find_name

    check(options.clip, options.pretrained)
    from cliptrase.clip.weights import load_clip, weights_file
    from cliptrase.common.sheets import print_sentence
    from cliptrase.evidence.weights import check_weights, read_facts

    facts = read_facts(options.facts)
    if not options.clip.startswith(OWN_WEIGHTS) and find_name(options.clip).removesuffix("-quickgelu") != facts.model:
        raise InputError(
            f"`clip` {options.clip}: the facts are of {facts.model}; give those of other weights by --facts FILE"
        )
    clip = load_clip(options.clip, options.pretrained, options.activation)
    found = check_weights(clip, weights_file(options.clip, options.pretrained), facts)
    if options.json:
        print(json.dumps(found.record(), indent=2, ensure_ascii=False))
        return int(not found.verified)
    print("\n".join(found.lines))
    if not found.verified:
        return complain(found.verdict)
    print_sentence(found.verdict)
    return 0
