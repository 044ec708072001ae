"""The HTML of a report: one page that needs no network, for one run or several side by side."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cliptrase.evaluation.comparison import Comparison
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.report.comparison_html import comparison_parts, elsewhere_parts
from cliptrase.report.domain_html import domain_parts
from cliptrase.report.load import LoadedRun
from cliptrase.report.markup import Html, element, joined
from cliptrase.report.score_html import score_table
from cliptrase.report.setting_html import setting_parts
from cliptrase.report.study_html import study_parts

_NOTHING_FETCHED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_EXPLANATION = " ".join(
    [
        "Definitions of the scores, the protocol's first:",
        *(definition.sentence for definition in DEFINITIONS.values()),
        "Published scores are of CLIP ViT-B/16 with OpenAI's weights; a difference to them stands only where model, "
        "guest, names and images are theirs, else the row remarks what differs. Bold is the best of several methods on "
        "a setting; the main method has a bar at its side.",
    ]
)


def page(runs: Sequence[LoadedRun]) -> str:
    """The page of one run, or of several side by side.

    Args:
        runs: at least one.
    """
    title = f"cliptrase: {runs[0].name}" if len(runs) == 1 else f"cliptrase: {len(runs)} runs side by side"
    settings = list(dict.fromkeys(setting for run in runs for setting in run.document["settings"]))
    protocols = {str(run.provenance.get("protocol")) for run in runs}
    note = f"Protocol {runs[0].protocol}." if len(protocols) == 1 else "Scores of different protocols do not compare."
    dates = [f"{run.provenance['date']}"[:10] for run in runs if "date" in run.provenance]
    note += f" Made on {', '.join(dict.fromkeys(dates))}." if dates else ""
    models = [run.provenance["model"] for run in runs if run.provenance.get("model")]
    names = [" ".join(filter(None, (model["clip"], model["pretrained"]))) for model in models]
    note += f" CLIP: {', '.join(dict.fromkeys(names))}." if names else ""
    body = [
        element("h1", title),
        element("p", note, class_="soft"),
        *(part for run in runs for part in domain_parts(run.document, "" if len(runs) == 1 else run.name)),
        element("h2", "Scores"),
        score_table(runs),
        *_notes(runs),
        element("p", _EXPLANATION, class_="soft"),
        *_comparisons(runs),
        *(part for run in runs for part in study_parts(run.document, "" if len(runs) == 1 else run.name)),
        *(part for setting in settings for part in setting_parts(runs, setting)),
        *elsewhere_parts([run.document for run in runs]),
        element("h2", "How the scores were made"),
        element("div", *map(_provenance, runs), class_="charts"),
    ]
    return html_page(title, body)


def html_page(title: str, body: Sequence[Html]) -> str:
    """A page that needs no network, with the report's styles.

    Args:
        title: of its window.
        body: its parts.
    """
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_NOTHING_FETCHED),
        element("title", title),
        element("style", Html((Path(__file__).parent / "report.css").read_text())),
    ]
    return "<!doctype html>\n" + element("html", element("head", *head), element("body", *body), lang="en") + "\n"


def _notes(runs: Sequence[LoadedRun]) -> Iterator[Html]:
    """What is to be said of each run below its figures."""
    for run in runs:
        if notes := Comparison(run.document).notes:
            named = [] if len(runs) == 1 else [f"{run.name}: "]
            yield element("p", *named, " ".join(notes), class_="notes")


def _comparisons(runs: Sequence[LoadedRun]) -> Iterator[Html]:
    """The comparison of methods of every run that has several."""
    for run in runs:
        if parts := list(comparison_parts(run.document)):
            yield element("h2", "Comparison of methods" if len(runs) == 1 else f"Comparison of methods, {run.name}")
            yield from parts


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
