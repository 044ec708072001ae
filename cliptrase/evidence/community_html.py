"""The page of runs of many people."""

from collections.abc import Iterator
from itertools import groupby

from cliptrase.common.errors import counted
from cliptrase.evaluation.formatting import INTERVAL, format_interval, format_score
from cliptrase.evidence.community import Community, Key, Line
from cliptrase.report.markup import Html, element, table_block
from cliptrase.report.page import html_page

_MEANING = (
    "A run is verified where this version recomputes all its figures from its counts, and every hash is right: "
    "cliptrase verify says the same of one. Counts do not show whether the predictions were made as stated. A column "
    "holds one protocol, data set, edition of labels, list of names and set of images: the digests in its head are "
    "equal for all its figures. Figures of two columns do not compare. Bold is the best of a column."
)


def community_page(community: Community) -> str:
    """The page, which needs no network."""
    total = community.runs + len(community.refused)
    title = f"cliptrase: {counted(total, 'run')}, {community.runs} verified"
    body = [element("h1", title), element("p", _MEANING, class_="soft")]
    if community.lines:
        body.append(table_block(_table(community), "runs of many places"))
    if community.refused:
        rows = [
            element("tr", element("th", one.run, scope="row"), element("td", one.reason, class_="words remark"))
            for one in community.refused
        ]
        heads = element("tr", *(element("th", head, scope="col", class_="words") for head in ("run", "what is wrong")))
        table = element("table", element("thead", heads), element("tbody", *rows))
        body += [element("h2", "Not verified"), table_block(table, "not verified")]
    return html_page(title, body)


def _table(community: Community) -> Html:
    columns = community.columns
    tops = [element("th"), element("th", colspan=2)]
    for (label, digest), keys in groupby(columns, key=lambda key: (key.protocol, key.protocol_hash)):
        name = f"protocol {label}"
        tops.append(
            element(
                "th", name, element("small", digest), class_="group start", colspan=len(list(keys)), scope="colgroup"
            )
        )
    heads = [element("th", "method", scope="col")]
    heads += [element("th", head, scope="col", class_="words") for head in ("run", "model")]
    heads += [_head(key) for key in columns]
    lines = [
        element("tr", element("th", line.method, scope="row"), *_about(line), *_cells(community, line, columns))
        for line in community.lines
    ]
    return element(
        "table",
        element("caption", f"mIoU, percent, with its {INTERVAL} over images"),
        element("thead", element("tr", *tops), element("tr", *heads)),
        element("tbody", *lines),
    )


def _head(key: Key) -> Html:
    small = [*filter(None, [key.edition]), counted(key.images, "image"), f"names {key.vocabulary_hash[:8]}"]
    small.append(f"data {key.data}")
    return element("th", key.setting, *(element("small", text) for text in small), scope="col", class_="start")


def _about(line: Line) -> Iterator[Html]:
    yield element("td", line.run, element("small", f"verified; {line.date}".rstrip("; "), class_="up"), class_="words")
    yield element("td", line.model, element("small", line.weights), class_="words")


def _cells(community: Community, line: Line, columns: list[Key]) -> Iterator[Html]:
    for key in columns:
        if key not in line.entries:
            yield element("td", class_="start")
            continue
        entry = line.entries[key]
        content = [element("strong" if community.leads(line, key) else "span", format_score(entry.mIoU))]
        content += [element("small", format_interval(entry.interval))] if entry.interval else []
        content += [element("small", remark) for remark in entry.remarks]
        yield element("td", *content, class_="start")
