"""What the values of a setting's label maps tell: unknown ones, shifted ones, classes that never occur."""

from collections.abc import Iterator

from datamodules.doctor.findings import Finding, prepared, remade, some
from datamodules.doctor.scan import Scan
from datamodules.shift import Values, doubt, name_of
from datamodules.spec import DatasetSpec

_BYTE, _WORD = 255, 65535
# Below this number of label maps, that a value never occurs may be chance.
_MAPS_FOR_EDGE = 10


def values(spec: DatasetSpec, scan: Scan) -> list[Finding]:
    """Everything that the label values tell of a setting."""
    if not scan.readable:
        return []
    if spec.colours is not None:  # a colour stands for its class by name, so that nothing can be shifted
        return [*_never(spec, scan)]
    unknown = [value for value in sorted(scan.pixels) if not _is_known(value, spec)]
    findings = []
    if unknown:
        paths = scan.holding(unknown)
        last = spec.label_offset + spec.valid_labels - 1
        findings.append(
            Finding(
                "error",
                "values",
                f"{len(paths)} label maps hold {some(unknown)}, but {spec.name} has labels {spec.first_value}..{last} "
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
    elif doubted := doubt(spec, Values(scan.pixels, scan.maps, len(scan.readable))):
        cure = anew if doubted.level == "error" else f"if so, {anew}"
        yield Finding(doubted.level, "shift", f"{doubted.sentence}; {cure}")
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
            f"of all labels only {absent[0]} ({name_of(spec, absent[0])}) never occurs: labels may be one too {way}",
        )


def never_seen(spec: DatasetSpec, scan: Scan) -> list[str]:
    """Names of the classes that no label map holds."""
    seen = {spec.label_of(value) for value in scan.maps}
    return [name for label, name in enumerate(spec.vocabulary.label_names) if label not in seen]


def _never(spec: DatasetSpec, scan: Scan) -> Iterator[Finding]:
    names = never_seen(spec, scan)
    if names:
        listed = some(repr(name) for name in names)
        yield Finding("info", "classes", f"{len(names)} of {spec.vocabulary.num_labels} classes never occur: {listed}")
