"""What a run says of itself: provenance, configuration and tables must agree with one another and with the results."""

import csv
import io
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from cliptrase.clip.towers import find_name
from cliptrase.common.errors import InputError
from cliptrase.evidence.findings import Finding, dotted, unequal
from cliptrase.evidence.told import told_protocol
from cliptrase.methods import get_method, split_methods
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.report.csv_tables import run_tables
from cliptrase.report.foreign import MIB, path_inside, read_regular, sentence_of

_RESULTS = "results.json"
_LARGEST = 64 * MIB
_MOST_ALIASES = 20
_CONFIG = "config.yaml"
_VERSION = "version of "
_STUDY = "study "


def protocol_findings(provenance: Mapping[str, Any]) -> tuple[EvaluationProtocol | None, list[Finding]]:
    """The protocol that a run names, None where its values cannot be, and what of its hash and label is wrong."""
    values = _table(provenance.get("protocol"))
    try:
        protocol = told_protocol(values)
    except InputError as error:
        return None, [Finding(_RESULTS, "the protocol", f"of no use ({error})", "a whole protocol", "should be")]
    findings = []
    if values.get("hash") != protocol.digest:
        findings.append(
            Finding(_RESULTS, "the protocol's hash", values.get("hash"), protocol.digest, "its values give")
        )
    elif values.get("label") != protocol.label:
        findings.append(
            Finding(_RESULTS, "the protocol's label", values.get("label"), protocol.label, "its values give")
        )
    return protocol, findings


def provenance_findings(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Where provenance contradicts itself or the results of a document."""
    provenance, settings = document["provenance"], document["settings"]
    methods = list(document["methods"])
    model = _table(provenance.get("model"))
    pairs: list[tuple[str, Any, str]] = [
        ("method", methods[0], "`methods` begins with"),
        ("identity.run.methods", ", ".join(methods), "`methods` holds"),
        ("identity.run.protocol", _at(provenance, "protocol.hash"), "provenance.protocol.hash is"),
        ("identity.run.weights", model.get("weights_hash"), "provenance.model.weights_hash is"),
        ("identity.run.activation", model.get("activation"), "provenance.model.activation is"),
        ("identity.run.precision", provenance.get("precision"), "provenance.precision is"),
        ("identity.run.commit", str(provenance.get("commit")), "provenance.commit is"),
        ("identity.run.source code", provenance.get("sources"), "provenance.sources is"),
    ]
    run, versions = _table(_at(provenance, "identity.run")), _table(provenance.get("versions"))
    told = (key.removeprefix(_VERSION) for key in run if key.startswith(_VERSION))
    packages = dict.fromkeys([*versions, *told])
    pairs += [(f"identity.run.{_VERSION}{name}", versions.get(name), "provenance.versions has") for name in packages]
    guest = _table(model.get("guest")).get("weights_hash", "none")
    if f"{run.get('guest')}".partition(" ")[0] != guest:
        yield Finding(_RESULTS, "provenance.identity.run.guest", run.get("guest"), guest, "provenance.model.guest has")
    studies = _table(provenance.get("studies"))
    told = (key.removeprefix(_STUDY) for key in run if key.startswith(_STUDY))
    pairs += [
        (f"identity.run.{_STUDY}{name}", studies.get(name), "provenance.studies has")
        for name in dict.fromkeys([*studies, *told])
    ]
    for name, result in settings.items():
        digest = result["vocabulary_hash"]
        pairs += [
            (f"vocabularies.{name}.hash", digest, f"settings.{name}.vocabulary_hash is"),
            (f"identity.settings.{name}.vocabulary", digest, f"settings.{name}.vocabulary_hash is"),
            (f"identity.settings.{name}.edition", result["edition"], f"settings.{name}.edition is"),
        ]
    for place, expected, source in pairs:
        if (found := _at(provenance, place)) != expected:
            yield Finding(_RESULTS, f"provenance.{place}", found, expected, source)
    # Studies find nothing, and have no tables, where no picture was scored.
    tables = list(document["studies"]) if any(result["images"] for result in settings.values()) else list(studies)
    for key, expected, source in (
        ("methods", methods, "`methods` holds"),
        ("counts", list(settings), "`settings` holds"),
        ("studies", tables, "`studies` holds"),
    ):
        if (found := list(_table(provenance.get(key)))) != expected:
            yield Finding(_RESULTS, f"provenance.{key}", found, expected, source)
    unfinished = provenance.get("unfinished")
    if not isinstance(unfinished, list):
        yield Finding(_RESULTS, "provenance.unfinished", unfinished, "a list", "should be")
    elif twice := [name for name in unfinished if name in settings]:
        yield Finding(_RESULTS, "provenance.unfinished", twice, "none of them", "`settings` has scores, so should be")
    cut = any(result["cut"] for result in settings.values())
    if bool(provenance.get("limits")) != cut:
        yield Finding(
            _RESULTS, "provenance.limits", provenance.get("limits"), "a limit" if cut else "none", "`cut` asks for"
        )
    for name, result in settings.items():
        if result["images"] > result["images_available"]:
            most = result["images_available"]
            yield Finding(_RESULTS, f"images of {name}", result["images"], most, "images_available allows")


def config_findings(
    folder: Path, document: Mapping[str, Any], protocol: EvaluationProtocol
) -> tuple[Mapping[str, Any] | None, list[Finding]]:
    """`config.yaml`, None where there is none, and where it asks for another run than the one that there is.

    Methods of files and modules are not looked up: that would run their code.
    """
    try:
        text = read_regular(path_inside(folder, _CONFIG), _LARGEST).decode()
        if sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)) > _MOST_ALIASES:
            raise ValueError("it holds too many aliases")
        config = yaml.safe_load(text)
        if config is None:  # of a run that Python code began
            return None, []
        if not isinstance(config, Mapping):
            raise ValueError("it holds no configuration")
    except FileNotFoundError:
        return None, []
    except (OSError, ValueError, RuntimeError, yaml.YAMLError, RecursionError) as error:
        return None, [Finding(_CONFIG, "its content", f"of no use ({sentence_of(error)})", "YAML", "should be")]
    findings = [
        Finding(_CONFIG, dotted(("protocol", *one.place)), one.found, one.expected, "results.json says")
        for one in unequal(config.get("protocol"), protocol.values())
    ]
    model, told = _table(config.get("model")), _table(document["provenance"].get("model"))
    for key, same in (("clip", _clip), ("pretrained", _file_name)):
        if same(model.get(key)) != same(told.get(key)):
            findings.append(Finding(_CONFIG, f"model.{key}", model.get(key), told.get(key), "results.json says"))
    asked = _asked_methods(model)
    if asked is not None and asked != list(document["methods"]):
        findings.append(Finding(_CONFIG, "its list of methods", asked, list(document["methods"]), "results.json has"))
    return config, findings


def table_findings(folder: Path, document: Mapping[str, Any]) -> tuple[list[str], list[Finding]]:
    """Which csv files are there, and where they say otherwise than `results.json`: one finding a file."""
    there, findings = [], []
    tables = {"results": "", "comparison": "", "benchmarks": ""} | run_tables(document)
    for name, text in ((f"{table}.csv", text) for table, text in tables.items()):
        try:
            found = read_regular(path_inside(folder, name), _LARGEST).decode()
        except FileNotFoundError:
            continue
        except (OSError, ValueError, RuntimeError) as error:
            findings.append(Finding(name, "its content", f"of no use ({sentence_of(error)})", "CSV", "should be"))
            continue
        there.append(name)
        findings += _differing_cells(name, found, text)
    return there, findings


def _differing_cells(name: str, found: str, expected: str) -> Iterator[Finding]:
    """One finding for all cells of a file that differ."""
    rows, wanted = (list(csv.reader(io.StringIO(text))) for text in (found, expected))
    heads = wanted[0] if wanted else []
    if len(rows) != len(wanted):
        yield Finding(name, "its number of lines", len(rows), len(wanted), "results.json gives")
        return
    differing = [
        (number, column, mine, theirs)
        for number, (row, other) in enumerate(zip(rows, wanted, strict=True), 1)
        for column, (mine, theirs) in enumerate(zip_longest(row, other))
        if not _same_cell(mine, theirs)
    ]
    if differing:
        number, column, mine, theirs = differing[0]
        head = heads[column] if column < len(heads) else f"column {column + 1}"
        about = " on ".join(wanted[number - 1][:2]) if number > 1 else "its heads"
        more = f" (and {len(differing) - 1} more cells)" if len(differing) > 1 else ""
        yield Finding(name, f"{head} of {about} in line {number}{more}", mine, theirs, "results.json gives")


def _same_cell(one: str | None, other: str | None) -> bool:
    """Whether cells are the same text or number: spreadsheets write 44.0 as 44."""
    if one == other:
        return True
    try:
        return float(one or "x") == float(other or "x")
    except ValueError:
        return False


def _table(value: Any) -> Mapping[str, Any]:
    """A table as it is, anything else as an empty one."""
    return value if isinstance(value, Mapping) else {}


def _at(document: Any, place: str) -> Any:
    """The value at a dotted place whose keys may hold dots themselves; None where there is none."""
    if not isinstance(document, Mapping):
        return None
    if place in document:
        return document[place]
    keys = place.split(".")
    for size in range(len(keys) - 1, 0, -1):
        if (start := ".".join(keys[:size])) in document:
            return _at(document[start], ".".join(keys[size:]))
    return None


def _clip(clip: Any) -> Any:
    """What of a model's name is the same however it is spelt, and wherever its folder lies."""
    if not isinstance(clip, str):
        return clip
    return _file_name(clip.partition(":")[2]) if ":" in clip else find_name(clip) or clip


def _file_name(path: Any) -> Any:
    return Path(path).name if isinstance(path, str) else path


def _asked_methods(model: Mapping[str, Any]) -> list[str] | None:
    """Names of the methods that a configuration asks for; None where it names files or what is not installed."""
    compared = model.get("compare")
    if not isinstance(compared, str | list | None):
        return None
    names = [model.get("method", "cliptrase"), *split_methods(compared)]
    if any(not isinstance(name, str) or ":" in name or name.endswith(".py") for name in names):
        return None
    try:
        return list(dict.fromkeys(get_method(str(name)).name for name in names))
    except InputError:
        return None
