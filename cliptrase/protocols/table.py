"""The protocols that there are, one row each, and how others are made of them or read from files.

No other code knows their names: all that follows from a protocol follows from its fields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml

from cliptrase.common.errors import InputError, did_you_mean, one_line
from cliptrase.common.extensions import load_object
from cliptrase.common.io import read_regular
from cliptrase.methods import votes_by_regions
from cliptrase.protocols.protocol import FIELDS, OWN_PIXELS, WHOLE_IMAGE, EvaluationProtocol, require_field

# CLIPtrase as published (Shao et al., ECCV 2024), at two sizes, and its released multi-GPU variant.
_PAPER = EvaluationProtocol(
    name="paper",
    view="centre_crop",
    size=336,
    interpolation="bicubic",
    normalisation="clip",
    fit="exact",
    class_token_weight="pixels",
    eps=1.1,
    min_samples=7,
    vote="majority",
    templates="imagenet",
    vocabulary="released",
    scoring="released",
)
_PAPER_224 = replace(_PAPER, base=None, size=224, eps=0.7, min_samples=3)
_DETECTRON2 = replace(
    _PAPER,
    base=None,
    name="detectron2",
    view="whole_image",
    size=640,
    longest=2560,
    interpolation="bilinear",
    fit="pad_and_halve",
    label_area="canvas",
    unit_features=False,
    class_token_weight="patches",
    vote="mean",
    templates="vild",
    scoring="detectron2",
)

# Ours: whole images with label maps as they are, for own folders, and the same for images without label maps.
_WHOLE = replace(_PAPER, base=None, name="whole", view="whole_image", longest=1344, fit="pad")
_PHOTOS = replace(_WHOLE, base=None, name="photos")

# The field's (SCLIP, Wang et al., ECCV 2024): windows, softmax over names, background threshold, mmseg's scores.
# This and all below have no published values for regions: eps and min_samples are those of `paper` at 224 for windows
# of that grid; for larger ones min_samples grows with the number of patches, and eps with its root, as the length of
# the clustered rows does.
_SCLIP = EvaluationProtocol(
    name="sclip",
    view="whole_image",
    size=336,
    longest=2048,
    interpolation="opencv",
    normalisation="mmseg",
    fit="trim",
    window=224,
    stride=112,
    decision="softmax",
    logit_scale=40,
    background_threshold=0.1,
    eps=0.7,
    min_samples=3,
    vote="mean",
    templates="imagenet",
    vocabulary="sclip",
    void="ignored",
    scoring="mmseg",
    overrides={
        "VOC21": {"logit_scale": 65, "min_area": 0.1},
        "PC60": {"logit_scale": 50},
        "COCOObject": {"logit_scale": 50},
        "COCO171": {"size": 448},
        "Cityscapes": {"size": 560},
    },
)
# NACLIP's own configurations (Hajimiri et al., WACV 2025): those for VOC have `slide_crop=0`; regions of such an image
# are those of `paper` at 336. ResCLIP's (Yang et al., CVPR 2025) and PEARL's (Pei et al., CVPR 2026) have the same
# values on all eight data sets, and no rows of their own, so that the three stand in one table.
_ONE_WINDOW = {"window": WHOLE_IMAGE, "stride": 0, "eps": 1.1, "min_samples": 7}
_NACLIP = replace(
    _SCLIP,
    base=None,
    name="naclip",
    overrides={"VOC21": _ONE_WINDOW, "VOC20": _ONE_WINDOW, "Cityscapes": {"size": 560}},
)
# ClearCLIP (Lan et al., ECCV 2024): the same with larger windows.
_CLEARCLIP = replace(
    _SCLIP,
    base=None,
    name="clearclip",
    size=448,
    window=448,
    stride=224,
    logit_scale=50,
    background_threshold=0,
    eps=1.4,
    min_samples=12,
    vocabulary="clearclip",
    overrides={
        "VOC21": {"background_threshold": 0.5},
        "PC60": {"background_threshold": 0.15},
        "COCOObject": {"background_threshold": 0.4},
        "Cityscapes": {"window": 224, "stride": 224, "eps": 0.7, "min_samples": 3},
    },
)
# SC-CLIP's own configurations (Bai et al., 2024): windows everywhere, thresholds and scales of its own. Without a
# background no threshold acts, and the values are `sclip`'s.
_SCCLIP = replace(
    _SCLIP,
    base=None,
    name="scclip",
    overrides={
        "VOC21": {"logit_scale": 50, "background_threshold": 0.15, "min_area": 0.1},
        "PC60": {"background_threshold": 0.15},
        "COCOObject": {"logit_scale": 55, "background_threshold": 0.35},
        "Cityscapes": {"size": 560},
    },
)
# SFP (Jin et al., ICCV 2025): the same but for ADE20K's size and the word for persons.
_SFP = replace(
    _SCCLIP,
    base=None,
    name="sfp",
    vocabulary="sfp",
    overrides={**_SCCLIP.overrides, "ADE150": {"size": 384}},
)
# ProxyCLIP (Lan et al., ECCV 2024). Its code fills windows up with zeros to multiples of 56 pixels; its own are such
# multiples unless an image is longer than 6 : 1, so that `trim` shows the tower the same pixels. Regions are those of
# `paper` at the size of a window.
_PROXYCLIP = replace(
    _SCLIP,
    base=None,
    name="proxyclip",
    window=336,
    background_threshold=0,
    eps=1.1,
    min_samples=7,
    vocabulary="proxyclip",
    overrides={
        "VOC21": {"background_threshold": 0.2},
        "PC60": {"background_threshold": 0.15},
        "COCOObject": {"background_threshold": 0.25},
        "Cityscapes": {"size": 448, "window": 224, "eps": 0.7, "min_samples": 3},
        "ADE150": {"size": 448},
    },
)

# Ours: `sclip` for images without label maps that lose what they show when they are made smaller, such as aerial ones.
_TILES = replace(_SCLIP, base=None, name="tiles", size=OWN_PIXELS, longest=0, overrides={})

_ROWS = (
    *(_PAPER_224, _PAPER, _DETECTRON2, _WHOLE, _PHOTOS, _TILES),
    *(_SCLIP, _NACLIP, _CLEARCLIP, _SCCLIP, _SFP, _PROXYCLIP),
)

PROTOCOLS: Mapping[str, EvaluationProtocol] = MappingProxyType({row.label.replace(" ", "_"): row for row in _ROWS})
"""All rows. Those that share a `name` are one protocol at several published sizes."""

DEFAULT = _PAPER.name
"""Taken where no protocol is asked for."""

DEFAULT_FOR_PHOTOS = _PHOTOS.name
"""Taken for images of any size without label maps."""


class ChosenThresholds(NamedTuple):
    """Background thresholds that a protocol's authors chose for one method.

    Attributes:
        row: key of `PROTOCOLS`.
        method: name of the method.
        remark: of the authors, on other methods.
    """

    row: str
    method: str
    remark: str


CHOSEN_THRESHOLDS = (
    ChosenThresholds(_CLEARCLIP.name, "clearclip", "chosen for ClearCLIP, whose author names 0.2 for plain CLIP"),
    ChosenThresholds(
        _PROXYCLIP.name,
        "proxyclip",
        "chosen for ProxyCLIP, whose configurations name 0.1 (VOC21, COCOObject) and 0.05 (PC60) for plain CLIP",
    ),
)


ProtocolLike = str | Path | Mapping[str, Any] | EvaluationProtocol
"""What `get_protocol` makes a protocol of."""


def get_protocol(spec: ProtocolLike = DEFAULT, **changes: Any) -> EvaluationProtocol:
    """A protocol by name, from a file or from a module, with some values changed.

    A name stands for all values of its row. Where several rows share it, another `size` takes the row of the nearest
    size, and no size the last. A protocol of one's own that is changed has the changes in its name.

    Args:
        spec: a name or key of `PROTOCOLS`; a path of a YAML file that holds `base: NAME` and changed fields, or all
            fields; `package.module:NAME` or `FILE.py:NAME` of an `EvaluationProtocol`; the content of such a file; or a
            protocol.
        changes: values by field; a `name` makes it a protocol of one's own.

    Raises:
        InputError: there is no such protocol, or a field or value that cannot be.

    >>> get_protocol("paper", size=224).eps
    0.7
    >>> get_protocol("sclip", background_threshold=0.2).label
    'sclip, background_threshold 0.2'
    """
    for name in changes:
        require_field(name)
    protocol = _resolved(spec)
    if "size" in changes and protocol in PROTOCOLS.values():
        protocol = _nearest(rows_named(protocol.name), changes["size"])
    return _changed(protocol, changes)


def rows_named(name: str) -> list[EvaluationProtocol]:
    """Rows of the table by their key, or by the name that several sizes share."""
    return [row for key, row in PROTOCOLS.items() if name in (key, row.name)]


def _nearest(rows: Sequence[EvaluationProtocol], size: Any) -> EvaluationProtocol:
    kind = FIELDS["size"]
    assert kind is not None
    wanted = kind.check("protocol.size", size)
    sized = [(row.size, row) for row in rows if isinstance(row.size, int)]
    if isinstance(wanted, str) or not sized:
        return rows[-1]
    return min(sized, key=lambda pair: abs(pair[0] - wanted))[1]


def _changed(protocol: EvaluationProtocol, changes: Mapping[str, Any]) -> EvaluationProtocol:
    if not changes:
        return protocol
    if "name" in changes:
        return replace(protocol, base=None, **changes)
    changed = replace(protocol, **changes)
    if rows_named(changed.name) or not changed.changes():
        return changed
    return replace(changed, base=None, name=", ".join([protocol.name, *changed.changes()]))


def _resolved(spec: Any) -> EvaluationProtocol:
    """The protocol that a name, file, module or content stands for."""
    if isinstance(spec, EvaluationProtocol):
        return spec
    if isinstance(spec, str) and (rows := rows_named(spec)):
        return rows[-1]
    if isinstance(spec, Mapping):
        return _from_fields(spec)
    if isinstance(spec, Path) or (isinstance(spec, str) and spec.endswith((".yaml", ".yml"))):
        return _from_file(Path(spec))
    if isinstance(spec, str) and ":" in spec:
        value = load_object(spec, "protocol", lambda value: isinstance(value, EvaluationProtocol))
        if not isinstance(value, EvaluationProtocol):
            raise InputError(f"protocol {spec!r} is {type(value).__name__}, not an EvaluationProtocol")
        return value
    meant = did_you_mean(spec, PROTOCOLS) if isinstance(spec, str) else ""
    hint = f"did you mean {meant}? Else take" if meant else "take"
    raise InputError(
        f"there is no protocol {spec!r}; {hint} one of {', '.join(PROTOCOLS)}, a YAML file, or package.module:NAME"
    )


def _from_file(path: Path) -> EvaluationProtocol:
    try:
        content = yaml.safe_load(read_regular(path.expanduser()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"protocol {path} cannot be read as YAML ({one_line(error)}); give a text file") from error
    if not isinstance(content, Mapping):
        raise InputError(f"protocol {path} holds no fields; give `base: {DEFAULT}` and what is changed, or all fields")
    try:
        return _from_fields(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _from_fields(content: Mapping[str, Any]) -> EvaluationProtocol:
    """A protocol of a file's content."""
    for name in content:
        require_field(name, ("base", *FIELDS))
    values = {name: value for name, value in content.items() if name != "base"}
    if base := content.get("base"):
        if not isinstance(base, str) or not (rows_named(base) or ":" in base):
            meant = did_you_mean(str(base), PROTOCOLS)
            raise InputError(
                f"protocol.base must be one of {', '.join(PROTOCOLS)}, or package.module:NAME, not {base!r}"
                + (f"; did you mean {meant}?" if meant else "")
            )
        return get_protocol(base, **values)
    needed = [row.name for row in fields(EvaluationProtocol) if row.default is row.default_factory is MISSING]
    if missing := [name for name in needed if name not in values]:
        raise InputError(
            f"a protocol without protocol.base needs all fields, and has no {', '.join(missing)}; give them, or base: "
            "the name of a protocol that has the rest"
        )
    rows = rows_named(values["name"]) if isinstance(values["name"], str) else []
    return EvaluationProtocol(**values, base=_nearest(rows, values["size"]).base if rows else None)


def notes(protocol: EvaluationProtocol, methods: Sequence[str], datasets: Sequence[str]) -> list[str]:
    """What must be said beside the scores of these methods on these data sets under a protocol.

    Args:
        protocol: of the run.
        methods: names, with their switches.
        datasets: names.

    Returns:
        sentences, none where nothing is to be said.
    """
    sentences = []
    for chosen in CHOSEN_THRESHOLDS:
        row = PROTOCOLS[chosen.row]
        others = [method for method in methods if method.partition("+")[0].partition("-")[0] != chosen.method]
        alike = [name for name in datasets if _decide_alike(protocol, row, name)]
        thresholds = {name: protocol.on(name).background_threshold for name in alike}
        if thresholds and others:
            named = ", ".join(f"{name} {threshold:g}" for name, threshold in thresholds.items())
            sentences.append(
                f"The background thresholds of {row.name} ({named}) were {chosen.remark}: they may cost "
                f"{', '.join(others)} points."
            )
    voting = [method for method in methods if votes_by_regions(method)]
    if protocol.windowed and voting:
        sentences.append(
            f"No paper has measured regions under {protocol.name}: eps and min_samples of {', '.join(voting)} are this "
            "project's."
        )
    return sentences


def _decide_alike(protocol: EvaluationProtocol, row: EvaluationProtocol, dataset: str) -> bool:
    """Whether a protocol's background threshold of a data set is that of a row, on the same names and scale."""
    ours, theirs = protocol.on(dataset), row.on(dataset)
    same = ("background_threshold", "logit_scale", "vocabulary")
    return ours.background_threshold > 0 and all(getattr(ours, name) == getattr(theirs, name) for name in same)
