"""The HTML of a report: one page that needs no network, for one run or several in one table."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cliptrase.evaluation.comparison import HOW, SPEED, Comparison
from cliptrase.evaluation.formatting import format_score
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.report.classes_html import class_parts
from cliptrase.report.comparison_html import comparison_parts, elsewhere_parts
from cliptrase.report.domain_html import domain_parts
from cliptrase.report.figures import Beside, figures, letter
from cliptrase.report.figures_html import figure_parts
from cliptrase.report.load import LoadedRun
from cliptrase.report.markup import Html, element, joined
from cliptrase.report.sheets_html import sheet_parts
from cliptrase.report.study_html import study_parts

_EXPLANATION = " ".join(
    [
        "Definitions of the scores:",
        *(definition.sentence for definition in DEFINITIONS.values()),
        "Published scores are of CLIP ViT-B/16 with OpenAI's weights; a difference to them stands only where model, "
        "guest, names and images are theirs, else the row remarks what differs. The main method has a bar at its side.",
    ]
)
_MANY = 3  # most names in a title


def page(runs: Sequence[LoadedRun], beside: Beside | None = None) -> str:
    """The page of one run, or of several in one table.

    Args:
        runs: at least one.
        beside: how those after the first are paired with it; without it none is.
    """
    beside = beside or Beside()
    title = _title(runs)
    settings = list(dict.fromkeys(setting for run in runs for setting in run.document["settings"]))
    tables = figures(runs, beside)
    named = [""] if len(runs) == 1 else [f"run {letter(number)}" for number in range(len(runs))]
    body = [
        element("h1", title),
        *(element("p", origin, class_="soft origin") for origin in _origins(runs)),
        *(element("p", note, class_="notes") for note in beside.notes),
        *(part for run, name in zip(runs, named, strict=True) for part in domain_parts(run.document, name)),
        element("h2", "Scores"),
        *figure_parts(tables),
        *_notes(runs),
        *(comparison_parts(runs[0].document) if len(runs) == 1 else ()),
        element("details", element("summary", "How to read the figures"), *_how(runs)),
        *(part for run, name in zip(runs, named, strict=True) for part in study_parts(run.document, name)),
        *(part for setting in settings for part in _setting_parts(runs, setting)),
        *elsewhere_parts([run.document for run in runs]),
        element("h2", "How the scores were made"),
        element("div", *map(_provenance, runs), class_="charts"),
    ]
    return html_page(title, body)


def _title(runs: Sequence[LoadedRun]) -> str:
    """What was scored: methods on data sets, and the model."""
    methods = _some(method for run in runs for method in run.document["methods"])
    data = _some(setting for run in runs for setting in run.document["settings"])
    models = _some(model for run in runs for model in _models(run))
    several = f" ({len(runs)} runs)" if len(runs) > 1 else ""
    return f"{methods} on {data}" + (f", {models}" if models else "") + several


def _models(run: LoadedRun) -> Iterator[str]:
    if model := run.provenance.get("model"):
        clip = "embedded stand-in model" if model["clip"] == "embedded" else f"CLIP {model['clip']}"
        yield " ".join(filter(None, (clip, model["pretrained"])))


def _some(names: Iterator[str]) -> str:
    """The first of some names, and how many more."""
    found = list(dict.fromkeys(names))
    if len(found) <= _MANY:
        return " and ".join(filter(None, [", ".join(found[:-1]), *found[-1:]]))
    return f"{', '.join(found[: _MANY - 1])} and {len(found) - _MANY + 1} more"


def _origins(runs: Sequence[LoadedRun]) -> Iterator[str]:
    """Which runs these are: letter, folder, protocol, model, date."""
    for number, run in enumerate(runs):
        date = f", {str(run.provenance['date'])[:10]}" if "date" in run.provenance else ""
        name = f"{letter(number)}: {run.name}" if len(runs) > 1 else f"Run {run.name}"
        model = "".join(f", {model}" for model in _models(run)) if len(runs) > 1 else ""
        yield f"{name}, protocol {run.protocol}{model}{date}."


def _how(runs: Sequence[LoadedRun]) -> Iterator[Html]:
    """Intervals, definitions, speed and hashes in words."""
    yield element("p", HOW)
    yield element("p", _EXPLANATION)
    yield element("p", SPEED)
    for number, run in enumerate(runs):
        compared = Comparison(run.document)
        name = f"{letter(number)}: " if len(runs) > 1 else ""
        yield element("p", f"{name}{compared.memory} {compared.origin}", class_="soft")


def _setting_parts(runs: Sequence[LoadedRun], setting: str) -> Iterator[Html]:
    """Pictures and classes of one data set."""
    yield element("h2", setting)
    yield from sheet_parts(runs, setting)
    yield element("h3", "Classes")
    yield from class_parts(runs, setting)


def html_page(title: str, body: Sequence[Html]) -> str:
    """A page that needs no network, with the report's styles and its own script, beside which none may run.

    Args:
        title: of its window.
        body: its parts.
    """
    script = (Path(__file__).parent / "report.js").read_text()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("title", title),
        element("style", Html((Path(__file__).parent / "report.css").read_text())),
    ]
    shown = element("body", *body, element("script", Html(script)))
    return "<!doctype html>\n" + element("html", element("head", *head), shown, lang="en") + "\n"


def _notes(runs: Sequence[LoadedRun]) -> Iterator[Html]:
    """What is to be said of each run below its figures, and how fast its methods are."""
    for number, run in enumerate(runs):
        compared = Comparison(run.document)
        speeds = [
            f"{row.method} {format_score(row.images_per_second)}" for row in compared.rows if row.images_per_second
        ]
        said = [*compared.notes, *([f"Images per second: {', '.join(speeds)}."] if speeds else [])]
        if said:
            yield element("p", *([] if len(runs) == 1 else [f"{letter(number)}: "]), " ".join(said), class_="notes")


def _provenance(run: LoadedRun) -> Html:
    return element("section", element("h3", run.name), _listed(run.provenance), class_="card")


def _listed(value: Any) -> Html:
    """Nested provenance as a list of terms."""
    if isinstance(value, Mapping):
        pairs = (joined(element("dt", str(key)), element("dd", _listed(part))) for key, part in value.items())
        return element("dl", *pairs)
    if isinstance(value, list):
        return joined(", ".join(map(str, value)))
    return joined("-" if value is None else str(value))
