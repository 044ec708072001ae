"""What the facts of a setting's files tell: errors, warnings and notes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from datamodules.colour_table import MANY, cure_of, say_colours
from datamodules.colours import Colour
from datamodules.doctor.scan import Scan
from datamodules.layouts import candidates, where
from datamodules.spec import DatasetSpec

Level = Literal["error", "warning", "info"]

_SHOWN = 5


class Finding(NamedTuple):
    """One thing to know.

    Attributes:
        level: an error keeps the setting from being evaluated as it is meant.
        kind: one word for programs.
        message: one sentence for people.
        files: the files concerned, all of them.
    """

    level: Level
    kind: str
    message: str
    files: tuple[Path, ...] = ()


def prepared(spec: DatasetSpec, by: str, otherwise: str = "") -> str:
    """A cure: `by` with the command that makes the label maps in place of `{}`, or `otherwise` where none does."""
    return by.format(f"`{spec.prepare_command}`") if spec.prepare_command else otherwise


def remade(spec: DatasetSpec) -> str:
    """The cure for label maps of wrong values."""
    return prepared(spec, "make the label maps anew by {}", "make the label maps anew, or mend the spec")


def elsewhere(spec: DatasetSpec, root: Path) -> str:
    """Where the data set may also lie, in other layouts."""
    others = [place for place in candidates(root, spec) if place.layout != spec.layout]
    named = {place.layout: " or ".join(str(where(root, other)) for other in others) for place in others}
    return "".join(f", in {layout} layout {folders}" for layout, folders in named.items())


def places(spec: DatasetSpec, scan: Scan, root: Path) -> list[Finding]:
    """Folders that are not there, with the places where they were looked for."""
    findings = []
    if scan.images is None:
        looked = ", ".join(str(folder) for folder in scan.looked)
        findings.append(
            Finding("error", "missing", f"no folder of pictures: looked for {looked}{elsewhere(spec, root)}")
        )
    if scan.labels is None:
        looked = f"{where(root, spec)}{elsewhere(spec, root)}"
        message = f"no folder of label maps: looked for {looked}{prepared(spec, '; {} makes it')}"
        findings.append(Finding("error", "missing", message))
    return findings


def files(spec: DatasetSpec, scan: Scan) -> list[Finding]:
    """Counts, partners, readability and sizes."""
    findings: list[Finding] = []
    pictures = sum(fact.image is not None for fact in scan.facts)
    maps = sum(fact.labels is not None for fact in scan.facts)
    if not pictures and scan.images is not None:
        findings.append(Finding("error", "empty", f"no pictures in {scan.images}"))
    if not maps and scan.labels is not None:
        message = f"no label maps *{spec.label_suffix} in {scan.labels}"
        if scan.passed_over:
            message += f", but {len(scan.passed_over)} files such as {scan.passed_over[0].name}"
            message += prepared(spec, "; {} converts")
        findings.append(Finding("error", "empty", message, scan.passed_over))
    findings += [Finding("error", "unlisted", sentence) for sentence in scan.unlisted]
    findings += [Finding("info", "left out", sentence) for sentence in scan.left_out]
    if scan.unknown:
        message = f"{len(scan.unknown)} names of {spec.list_file} have no image: {some(scan.unknown)}"
        findings.append(Finding("error", "list", message))
    text = "files have the same name but for the ending; move one of each to another folder"
    findings += _each("ambiguous", text, scan.ambiguous)
    if pictures and maps:
        alone = [fact.image for fact in scan.facts if fact.image is not None and fact.labels is None]
        findings += _each("unpaired", "pictures have no label map of their name", alone)
        alone = [fact.labels for fact in scan.facts if fact.labels is not None and fact.image is None]
        findings += _each("unpaired", "label maps have no picture of their name", alone)
    for errors, kind in (
        ([(fact.image, fact.image_error) for fact in scan.facts if fact.image_error], "pictures"),
        ([(fact.labels, fact.labels_error) for fact in scan.facts if fact.labels_error], "label maps"),
    ):
        if errors:
            paths = [path for path, _ in errors if path is not None]
            findings += _each("unreadable", f"{kind} cannot be read ({errors[0][1]})", paths)
    coloured = [fact.labels for fact in scan.facts if fact.colours and fact.labels is not None]
    by_table = "convert them to index maps" + ("" if spec.folder else ", or say by `colors` which class each colour is")
    cure = prepared(spec, "{} makes index maps", by_table)
    findings += _each("colour", f"label maps hold colours, not label indices; {cure}", coloured)
    strange = [fact for fact in scan.facts if fact.unknown]
    unknown = sum((Counter(dict(fact.unknown)) for fact in strange), Counter[Colour]())
    text = f"label maps hold colours that `colors` does not name, {say_colours(unknown, MANY)}; {cure_of(unknown)}"
    findings += _each("colour", text, [fact.labels for fact in strange if fact.labels is not None])
    wrong = [
        fact for fact in scan.facts if fact.image_size and fact.labels_size and fact.image_size != fact.labels_size
    ]
    if wrong:
        (height, width), (rows, columns) = wrong[0].labels_size or (0, 0), wrong[0].image_size or (0, 0)
        text = f"label maps are not of their pictures' size ({width} x {height}, the picture {columns} x {rows})"
        findings += _each("size", text, [fact.labels for fact in wrong if fact.labels is not None])
    counts = {number for number in (pictures, maps) if number}
    if spec.expected_counts and counts - set(spec.expected_counts):
        message = f"{pictures} pictures and {maps} label maps, but the published set has {spec.expected_text}"
        findings.append(Finding("warning", "count", message))
    return findings


def _each(kind: str, text: str, paths: Sequence[Path]) -> list[Finding]:
    """One error for all files of a kind."""
    if not paths:
        return []
    return [Finding("error", kind, f"{len(paths)} {text}: {some(path.name for path in paths)}", tuple(paths))]


def some(words: Iterable[object]) -> str:
    """The first few of them, and how many more."""
    texts = [str(word) for word in words]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
