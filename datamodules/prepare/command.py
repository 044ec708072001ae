"""The command line of the preparations: plans, runs, counts."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cliptrase.common.errors import one_line
from cliptrase.common.options import Parser, answer
from datamodules.errors import DataError
from datamodules.pairs import find_pairs
from datamodules.parallel import add_workers, each
from datamodules.prepare import ade20k, cityscapes, coco, pascal_context, voc
from datamodules.prepare.plan import run_task
from datamodules.prepare.sources import Preparation, Request
from datamodules.spec import DatasetSpec
from datamodules.specs import DATASETS

PREPARATIONS: dict[str, tuple[Preparation, str]] = {
    "voc": (voc.plan, "PASCAL VOC 2012, of JPEGImages and SegmentationClassAug or SegmentationClass"),
    "pcontext": (pascal_context.plan, "PASCAL-Context with 59 and with 459 classes, of trainval/*.mat and VOC2010"),
    "ade150": (ade20k.plan_150, "ADE20K with 150 classes, of ADEChallengeData2016"),
    "adefull": (ade20k.plan_full, "ADE20K with 847 classes, of ADE20K_2021_17_01"),
    "coco": (coco.plan_stuff, "COCO-Stuff with 171 classes, of val2017 and stuffthingmaps"),
    "cocoobject": (coco.plan_objects, "COCO's 80 things and background, of val2017 and stuffthingmaps"),
    "cityscapes": (cityscapes.plan, "Cityscapes with 19 classes, of leftImg8bit and gtFine"),
}
_WITH_LIST = ("voc", "pcontext")
_SHOWN_FAILURES = 10


def main(args: Sequence[str] | None = None) -> int:
    """Runs a preparation.

    Args:
        args: arguments after the program's name; the process's own by default.

    Returns:
        exit status: 0 where every file was made, 1 where a source cannot be used, 2 for wrong usage, 128 and the
        signal's number where a signal stopped it.
    """
    return answer(parser(), _prepare, args, "the same command continues where this one ended")


def _prepare(options: argparse.Namespace) -> int:
    try:
        return _run(options)
    except OSError as error:
        raise DataError(
            f"stopped by the file system ({one_line(error)}); make room or name another place by `root`, then start "
            "again to continue"
        ) from error


def _run(options: argparse.Namespace) -> int:
    source, root = options.source.expanduser(), options.root.expanduser()
    if not source.is_dir():
        raise DataError(f"`source` {source} is no folder; name the one that the archives were unpacked to")
    make_plan, _ = PREPARATIONS[options.name]
    plan = make_plan(
        Request(
            source,
            root,
            list_file=getattr(options, "list", None),
            keep_void=getattr(options, "keep_void", False),
            overwrite=options.overwrite,
        )
    )
    for note in plan.notes:
        print(note)
    outcomes = list(each(partial(run_task, plan.recipe), plan.tasks, options.workers, options.name))
    states = [outcome.state for outcome in outcomes]
    print(
        f"{options.name}: {len(outcomes)} pictures: {states.count('written')} written, {states.count('there')} there "
        f"already, {states.count('left out')} left out for want of a labelled pixel, {states.count('failed')} failed"
    )
    failed = [outcome.message for outcome in outcomes if outcome.state == "failed"]
    if failed:
        for message in failed[:_SHOWN_FAILURES]:
            print(f"error: {message}", file=sys.stderr)
        if len(failed) > _SHOWN_FAILURES:
            print(f"error: and {len(failed) - _SHOWN_FAILURES} more", file=sys.stderr)
        return 1
    done = {target for outcome in outcomes if outcome.state != "left out" for target in outcome.task.targets}
    for spec in plan.specs:
        print(_count(spec, root, done))
    settings = " ".join(spec.name for spec in plan.specs if spec.name in DATASETS)
    print(f"check with: python -m datamodules.doctor --root {root} --setting {settings}")
    return 0


def _count(spec: DatasetSpec, root: Path, done: set[Path]) -> str:
    """Counts a setting's files on disk: they must be those of the plan and no others."""
    folder = root / spec.folder
    pairs = find_pairs(folder / spec.images[0], folder / spec.labels, spec)
    strange = [path for pair in pairs for path in (pair.image, pair.labels) if path is not None and path not in done]
    if strange:
        raise DataError(
            f"{strange[0]} and {len(strange) - 1} other files lie in the folders of {spec.name} but are not of this "
            "preparation; move them away"
        )
    expected = spec.expected_counts
    note = "" if len(pairs) in expected else f", but the published set has {spec.expected_text}"
    return f"{spec.name}: {len(pairs)} pictures and label maps in {folder}{note}"


def parser() -> Parser:
    """The command's options."""
    whole = Parser("prepare", "Makes the folders that are read of what the publishers' archives unpack to.")
    names = whole.add_subparsers(dest="name", required=True, metavar="NAME", parser_class=Parser)
    for name, (_, text) in PREPARATIONS.items():
        one = names.add_parser(name, help=text, prog=f"prepare {name}", description=text)
        one.add_argument("--source", type=Path, required=True, metavar="DIR", help="where the archives were unpacked")
        one.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of the data sets, --data.root")
        add_workers(one)
        one.add_argument("--overwrite", action="store_true", help="make files anew that are there already")
        if name in _WITH_LIST:
            one.add_argument("--list", type=Path, metavar="FILE", help="names of the pictures, one a line")
    names.choices["voc"].add_argument(
        "--keep-void", action="store_true", help="also write label maps that tell background (20) from void (255)"
    )
    return whole
