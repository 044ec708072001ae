"""The doctor's command line: which settings are looked at, and the report as table or JSON."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cliptrase.common.errors import UsageError
from cliptrase.common.options import Parser, answer
from cliptrase.common.sheets import Cell, Column, Sheet, print_sentence, print_sheets
from datamodules.doctor.findings import Finding, elsewhere, files, places, prepared, some
from datamodules.doctor.scan import Scan, scan
from datamodules.doctor.values import never_seen, values
from datamodules.errors import DataError
from datamodules.layouts import candidates, has_label_maps, where
from datamodules.parallel import add_workers
from datamodules.spec import AUTO, DETECTRON2, LAYOUTS, DatasetSpec, LabelScheme
from datamodules.spec_file import read_specs
from datamodules.specs import BENCHMARKS, DATASETS

State = Literal["good", "faulty", "not there"]


class Report(NamedTuple):
    """What was found of a setting."""

    spec: DatasetSpec
    scan: Scan | None  # None where the setting is not there and was not asked for
    findings: list[Finding]

    @property
    def state(self) -> State:
        """`not there` only where the setting was not asked for."""
        if self.scan is None:
            return "not there"
        return "faulty" if self.count("error") else "good"

    @property
    def pictures(self) -> int:
        """Number of picture files."""
        return sum(fact.image is not None for fact in self.scan.facts) if self.scan else 0

    @property
    def maps(self) -> int:
        """Number of label-map files."""
        return sum(fact.labels is not None for fact in self.scan.facts) if self.scan else 0

    def count(self, level: str) -> int:
        """Number of findings of a level."""
        return sum(finding.level == level for finding in self.findings)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the doctor.

    Args:
        args: arguments after the program's name; the process's own by default.

    Returns:
        exit status: 0 without an error, 1 with one or where nothing is found, 2 for wrong usage, 128 and the
        signal's number where a signal stopped it.
    """
    return answer(parser(), _report, args)


def _report(options: argparse.Namespace) -> int:
    if options.root is None and not options.spec:
        raise UsageError("give `root`, the folder of the data sets, or `spec`, a YAML file of your own data set")
    if options.setting and options.root is None:
        raise UsageError("`setting` needs `root`, the folder of the data sets")
    root = options.root.expanduser() if options.root else None
    reports = examine(root, options.setting, options.workers, read_specs(options.spec), options.layout)
    if options.json:
        print(json.dumps(as_json(root, reports), indent=2))
    else:
        _print(reports)
    return int(any(report.count("error") for report in reports))


def examine(
    root: Path | None,
    names: Sequence[str] | None = None,
    workers: int = 1,
    own: Sequence[DatasetSpec] = (),
    layout: str = AUTO,
) -> list[Report]:
    """Looks at data sets.

    Args:
        root: folder of the published data sets; None to look at none of them.
        names: data sets or lists of them that must be there; by default all are looked at, and those that are not there
            are only named.
        workers: processes that read.
        own: further data sets, whose places are absolute.
        layout: name of the layout that is looked at, or `auto` for all.

    Returns:
        one report a setting, in the order of `DATASETS`, and one more for void told apart where such maps are.

    Raises:
        DataError: root is no folder, or nothing is there and no setting was named.
    """
    if root is None:
        return [_examined(Path(), spec, scan(Path(), spec, workers)) for spec in own]
    if not root.is_dir():
        raise DataError(f"`root` {root} is no folder; name the one that holds the data sets")
    wanted = {name for given in names or DATASETS for name in BENCHMARKS.get(given, (given,))}
    by_name = {name: _places(root, name, layout) for name in DATASETS if name in wanted}
    if names and (unknown := [name for name, found in by_name.items() if not found]):
        raise DataError(f"`layout` {layout}: {unknown[0]} is not known in it; take {DETECTRON2} or {AUTO}")
    specs = [spec for found in by_name.values() for spec in found]
    scans: dict[tuple[str, ...], Scan] = {}
    reports = []
    for spec in specs:
        if not names and not is_there(root, spec):
            reports.append(Report(spec, None, [_absent(root, spec)]))
            continue
        key = (spec.folder, *spec.images, spec.labels, spec.image_suffix, spec.label_suffix, spec.list_file)
        if key not in scans:
            scans[key] = scan(root, spec, workers)
        reports.append(_examined(root, spec, scans[key]))
    if not scans and not own:
        places = [place for spec in specs for place in candidates(root, spec, layout) or [spec]]
        folders = sorted({f"{place.folder} ({place.layout})" for place in places if place.folder})
        raise DataError(
            f"no data set in {root}: looked for the folders {', '.join(folders)}; ask for your own by --spec FILE.yaml"
        )
    return reports + examine(None, workers=workers, own=own)


def _examined(root: Path, spec: DatasetSpec, facts: Scan) -> Report:
    return Report(spec, facts, [*places(spec, facts, root), *files(spec, facts), *values(spec, facts)])


def _places(root: Path, name: str, layout: str) -> list[DatasetSpec]:
    """A setting in each layout that is there, or as it is looked for first, and with void apart where it was made.

    Empty where it is not known in the layout.
    """
    spec = DATASETS[name]
    known = candidates(root, spec, layout)
    if not known:
        return []
    there = _distinct(root, [place for place in known if is_there(root, place)])
    if len(there) > 1 and there[0].layout == spec.layout and not where(root, there[0]).is_dir():
        there = there[1:]  # the data set's folder is there for the sake of another layout
    found = []
    for number, place in enumerate(there or known[:1]):
        named = replace(place, name=f"{name} in {place.layout} layout") if number else place
        found.append(named)
        apart = place.with_labels(LabelScheme(void=True))
        if apart.labels != place.labels and (root / apart.folder / apart.labels).is_dir():
            found.append(replace(apart, name=f"{name} with void apart"))
    return found


def _distinct(root: Path, places: Sequence[DatasetSpec]) -> list[DatasetSpec]:
    """The first of those that are read alike from one folder."""
    keys = {(where(root, place), place.label_suffix, place.reading_digest): place for place in reversed(places)}
    return [place for place in places if place in keys.values()]


def is_there(root: Path, spec: DatasetSpec) -> bool:
    """Whether a setting is to be looked at: its label maps are there, or its folder and no other setting's maps."""
    if spec.layout != DETECTRON2:
        return has_label_maps(root, spec)
    folder = root / spec.folder
    siblings = {other.labels for other in DATASETS.values() if other.folder == spec.folder}
    return folder.is_dir() and (
        (folder / spec.labels).is_dir() or not any((folder / name).is_dir() for name in siblings)
    )


def _absent(root: Path, spec: DatasetSpec) -> Finding:
    folder = root / spec.folder
    looked = folder / spec.labels if folder.is_dir() else folder
    cure = prepared(spec, "; {} makes it")
    return Finding("info", "missing", f"not there: looked for {looked}{elsewhere(spec, root)}{cure}")


def as_json(root: Path | None, reports: Sequence[Report]) -> dict[str, Any]:
    """The report for programs: `root`, `errors`, `warnings` and `settings` by name."""
    return {
        "root": str(root) if root else None,
        "errors": sum(report.count("error") for report in reports),
        "warnings": sum(report.count("warning") for report in reports),
        "settings": {report.spec.name: _setting_json(root, report) for report in reports},
    }


def _setting_json(root: Path | None, report: Report) -> dict[str, Any]:
    spec, seen = report.spec, report.scan
    return {
        "state": report.state,
        "layout": spec.layout,
        "edition": spec.edition_text or None,
        "looked": [str((root or Path()) / spec.folder / name) for name in (*spec.images, spec.labels)],
        "pictures": report.pictures,
        "label_maps": report.maps,
        "expected": list(spec.expected_counts),
        "findings": [
            {**finding._asdict(), "files": [str(path) for path in finding.files]} for finding in report.findings
        ],
        "classes_never_seen": never_seen(spec, seen) if seen is not None and seen.readable else [],
    }


def _print(reports: Sequence[Report]) -> None:
    columns = [Column("setting", "key"), Column("state", "words"), Column("layout", "words")]
    columns += [Column(name) for name in ("pictures", "label maps", "expected")]
    rows = []
    # A benchmark of dozens of data sets that nobody asked for takes a line.
    folded = [report for report in reports if report.spec.benchmark and report.state == "not there"]
    for report in reports:
        if report in folded:
            continue
        expected = " or ".join(map(str, sorted(report.spec.expected_counts)))
        layout = (
            "" if report.scan is None or (not report.spec.folder and not report.spec.list_file) else report.spec.layout
        )
        counts = ("", "") if report.scan is None else (str(report.pictures), str(report.maps))
        style = {"good": "green", "faulty": "red", "not there": "dim"}[report.state]
        rows.append([Cell(report.spec.name), Cell(report.state, style), *map(Cell, (layout, *counts, expected))])
    print_sheets(Sheet("", columns, rows))
    for report in reports:
        for finding in report.findings if report not in folded else ():
            print_sentence(f"{report.spec.name}: {finding.level}: {finding.message}")
    for benchmark, absent in groupby(folded, key=lambda report: report.spec.benchmark and report.spec.benchmark.name):
        names = [report.spec.name for report in absent]
        where = f"`--setting {names[0]}` says where one is looked for"
        print_sentence(f"{benchmark}: info: {len(names)} data sets are not there ({some(names)}); {where}")


def parser() -> Parser:
    """The command's options."""
    own = Parser("doctor", "Says what is wrong with the folders of data sets.")
    own.add_argument("--root", type=Path, metavar="DIR", help="folder of the data sets, --data.root")
    own.add_argument(
        "--setting",
        nargs="+",
        action="extend",
        choices=[*DATASETS, *BENCHMARKS],
        metavar="NAME",
        help="data sets of `list datasets`, or a list "
        f"({', '.join(BENCHMARKS)}), which then must be there; by default all that are",
    )
    own.add_argument(
        "--layout",
        choices=[AUTO, *LAYOUTS],
        default=AUTO,
        help="how the folders lie, --data.layout; auto looks for all (auto)",
    )
    own.add_argument(
        "--spec",
        nargs="+",
        action="extend",
        type=Path,
        default=[],
        metavar="FILE",
        help="YAML files of your own data sets, as --data.spec reads them",
    )
    own.add_argument("--json", action="store_true", help="print the report as JSON")
    add_workers(own)
    return own
