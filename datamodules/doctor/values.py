"""What the values of a setting's label maps tell: unknown ones, shifted ones, classes that never occur."""

from collections.abc import Iterator

from datamodules.doctor.findings import Finding, prepared, remade, some
from datamodules.doctor.scan import Scan
from datamodules.spec import DatasetSpec

_BYTE, _WORD = 255, 65535
# Below these numbers of label maps, that a value never occurs may be chance.
_MAPS_FOR_EDGE = 10
_MAPS_FOR_UNLABELLED = 3


def values(spec: DatasetSpec, scan: Scan) -> list[Finding]:
    """Everything that the label values tell of a setting."""
    if not scan.readable:
        return []
    unknown = [value for value in sorted(scan.pixels) if not _is_known(value, spec)]
    findings = []
    if unknown:
        paths = scan.holding(unknown)
        last = spec.label_offset + spec.valid_labels - 1
        findings.append(
            Finding(
                "error",
                "values",
                f"{len(paths)} label maps hold {some(unknown)}, but {spec.name} has labels {spec.label_offset}..{last} "
                f"and {spec.ignore_label} for unlabelled pixels{prepared(spec, ' ({} makes such)')}: "
                f"{some(path.name for path in paths)}",
                tuple(paths),
            )
        )
    # Where the ignore value has another width, that it never occurs tells nothing of a shift.
    findings += list(_width(spec, scan)) or _shift(spec, scan, unknown)
    findings += _never(spec, scan)
    return findings


def _is_known(value: int, spec: DatasetSpec) -> bool:
    # As the data modules read them: what is less than the first label is unlabelled.
    return value == spec.ignore_label or value < spec.label_offset + spec.valid_labels


def _width(spec: DatasetSpec, scan: Scan) -> Iterator[Finding]:
    """255 where 65535 is meant, and the reverse."""
    if scan.maps[spec.ignore_label]:
        return
    if spec.ignore_label == _BYTE and scan.maps[_WORD]:
        yield Finding(
            "error",
            "ignore",
            f"unlabelled pixels are {_WORD} in {scan.maps[_WORD]} label maps, but {_BYTE} in {spec.name}; "
            f"{remade(spec)}",
            tuple(scan.holding([_WORD])),
        )
    # As a class, 255 is one of hundreds: it is not in half of the maps nor covers a share of this size.
    common = 2 * scan.maps[_BYTE] >= len(scan.readable) and 100 * scan.pixels[_BYTE] >= scan.pixels.total()
    if spec.ignore_label == _WORD and common:
        yield Finding(
            "error",
            "ignore",
            f"{scan.maps[_BYTE]} of {len(scan.readable)} label maps hold {_BYTE} and none {_WORD}: {_BYTE} looks like "
            f"the unlabelled pixels of 8-bit maps, but is a class of {spec.name}; {remade(spec)}",
            tuple(scan.holding([_BYTE])),
        )


def _shift(spec: DatasetSpec, scan: Scan, unknown: list[int]) -> Iterator[Finding]:
    """Labels that were shifted too often or not yet."""
    first, after = spec.label_offset, spec.label_offset + spec.valid_labels
    total = len(scan.readable)
    anew = remade(spec)
    if after in unknown and all(value in (after, spec.ignore_label - 1) for value in unknown):
        if scan.maps[first]:
            text = f"values go from {first} to {after}: labels look not yet shifted, as in the publisher's maps"
        else:
            text = f"values go to {after} and {first} never occurs: labels look one too high"
        yield Finding("error", "shift", f"{text}; {anew}", tuple(scan.holding([after])))
    elif spec.ignore_label - 1 in unknown and not scan.maps[after - 1]:
        yield Finding(
            "error",
            "shift",
            f"{spec.ignore_label - 1} occurs where {spec.ignore_label} is meant, and label {after - 1} never: labels "
            f"look shifted once too often; {anew}",
            tuple(scan.holding([spec.ignore_label - 1])),
        )
    elif unknown:
        return
    elif _is_background_first(spec) and 10 * scan.maps[first] >= 9 * total and _covers(scan, first, 0.4):
        yield Finding(
            "error",
            "shift",
            f"{first} is in {scan.maps[first]} of {total} label maps and covers {_share(scan, first):.0%} of them, as "
            f"background does before the shift; here it is {_name(spec, first)}; {anew}",
        )
    elif _may_be_raw(spec, scan):
        yield Finding(
            "warning",
            "shift",
            f"none of {total} label maps holds {spec.ignore_label}, but {scan.maps[first]} hold {first}, which in the "
            f"publisher's maps are the unlabelled pixels: labels may be not yet shifted; if so, {anew}",
        )
    else:
        yield from _edge(spec, scan)


def _edge(spec: DatasetSpec, scan: Scan) -> Iterator[Finding]:
    """The first or last label alone never occurs."""
    first, last = spec.label_offset, spec.label_offset + spec.valid_labels - 1
    absent = [value for value in range(first, last + 1) if not scan.maps[value]]
    if len(scan.readable) >= _MAPS_FOR_EDGE and absent in ([first], [last]):
        way = "high" if absent == [first] else "low"
        yield Finding(
            "warning",
            "shift",
            f"of all labels only {absent[0]} ({_name(spec, absent[0])}) never occurs: labels may be one too {way}",
        )


def never_seen(spec: DatasetSpec, scan: Scan) -> list[str]:
    """Names of the classes that no label map holds."""
    background = spec.ignored_is_background and scan.maps[spec.ignore_label] > 0
    return [
        name
        for label, name in enumerate(spec.vocabulary.label_names)
        if not scan.maps[label + spec.label_offset] and not (background and label == spec.vocabulary.background_index)
    ]


def _never(spec: DatasetSpec, scan: Scan) -> Iterator[Finding]:
    names = never_seen(spec, scan)
    if names:
        listed = some(repr(name) for name in names)
        yield Finding("info", "classes", f"{len(names)} of {spec.vocabulary.num_labels} classes never occur: {listed}")


def _may_be_raw(spec: DatasetSpec, scan: Scan) -> bool:
    return (
        spec.raw is not None
        and spec.label_offset in (spec.raw.background, spec.raw.unlabelled)
        and len(scan.readable) >= _MAPS_FOR_UNLABELLED
        and scan.maps[spec.label_offset] > 0
        and not scan.maps[spec.ignore_label]
    )


def _is_background_first(spec: DatasetSpec) -> bool:
    return spec.raw is not None and spec.raw.background == spec.label_offset


def _covers(scan: Scan, value: int, least: float) -> bool:
    return len(scan.pixels) > 1 and _share(scan, value) >= least


def _share(scan: Scan, value: int) -> float:
    return scan.pixels[value] / scan.pixels.total()


def _name(spec: DatasetSpec, value: int) -> str:
    names = spec.vocabulary.label_names
    label = value - spec.label_offset
    return f"'{names[label]}'" if label < len(names) else "a label beyond the vocabulary"
