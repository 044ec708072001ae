"""Result files and tables: JSON and CSV for scripts, a table for people."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import Tensor

from cliptrase.evaluation.conditions import STAND_IN, STAND_IN_TITLE, Extent, images_text
from cliptrase.evaluation.intervals import LEVEL, Estimate, Rarity
from cliptrase.metrics import (
    ClassScores,
    Scores,
    detectron2_class_scores,
    detectron2_scores,
    mmseg_class_scores,
    mmseg_scores,
    released_class_scores,
    released_scores,
)
from cliptrase.tables import csv_text

COLUMNS = Scores._fields
INTERVAL = f"{100 * LEVEL:g} % interval"


class Origin(NamedTuple):
    """What stands beside every figure: figures compare only where all of it is equal."""

    protocol: str  # label
    protocol_hash: str
    vocabulary_hash: str


class Sample(NamedTuple):
    """The pictures that a figure is of."""

    expected: Sequence[int] = ()  # pictures of the published set, several where lists differ
    extent: Extent | None = None  # None: all pictures were looked at
    rarity: Rarity | None = None  # None where it is not known


ALL_PICTURES = Sample()


@dataclass(frozen=True)
class SettingResult:
    """Scores of one method on one setting.

    Attributes:
        name: the setting's.
        origin: protocol and vocabulary.
        label_names: a name for each label.
        images: pictures scored.
        definition: the protocol's own; tables show it.
        definitions: scores in percent by every definition, the protocol's own first.
        classes: per class by every definition.
        estimate: intervals of mIoU by the protocol's own definition; None for fewer than two pictures.
        published: figures of the method's authors under this very protocol, NaN where they give none.
        published_source: where those were read, if not in the paper that the setting's card names.
        sample: which pictures the figures are of.
        remarks: what is not as it was for published figures; see `conditions.Conditions`.
    """

    name: str
    origin: Origin
    label_names: Sequence[str]
    images: int
    definition: str
    definitions: Mapping[str, Scores]
    classes: Mapping[str, ClassScores]
    estimate: Estimate | None
    published: Scores | None
    published_source: str
    sample: Sample = ALL_PICTURES
    remarks: Sequence[str] = ()

    @classmethod
    def from_confusion(
        cls,
        name: str,
        origin: Origin,
        label_names: Sequence[str],
        confusion: Tensor,
        images: int,
        published: Sequence[float] | None = None,
        definition: str = "released",
        estimate: Estimate | None = None,
        published_source: str = "",
        sample: Sample = ALL_PICTURES,
        remarks: Sequence[str] = (),
    ) -> "SettingResult":
        """Scores of a (C, C) int64 confusion matrix, rows being ground truth."""
        scores: dict[str, Scores] = {
            "released": released_scores(confusion),
            "detectron2": detectron2_scores(confusion),
            "mmseg": mmseg_scores(confusion),
        }
        classes: dict[str, ClassScores] = {
            "released": released_class_scores(confusion),
            "detectron2": detectron2_class_scores(confusion),
            "mmseg": mmseg_class_scores(confusion),
        }
        return cls(
            name,
            origin,
            label_names,
            images,
            definition,
            {definition: scores[definition]} | scores,
            classes,
            estimate,
            Scores(*published) if published is not None else None,
            published_source,
            sample,
            remarks,
        )

    @property
    def comparable(self) -> bool:
        """Whether a difference to the published figures means anything."""
        return self.published is not None and not self.remarks

    @property
    def extent(self) -> Extent:
        """How much of the data set was looked at."""
        return self.sample.extent or Extent(self.images)

    @property
    def images_text(self) -> str:
        """Number of pictures scored, and of how many where that is not all."""
        return images_text(self.images, self.extent.pictures, self.sample.expected, bool(self.extent.cut))

    @property
    def headline(self) -> Scores:
        """Scores by the protocol's own definition."""
        return self.definitions[self.definition]

    @property
    def headline_classes(self) -> ClassScores:
        """Per class by the protocol's own definition."""
        return self.classes[self.definition]

    @property
    def lines(self) -> list[tuple[str, Scores]]:
        """Scores by definition, the protocol's own first, and the published ones last."""
        return [*self.definitions.items(), *([("published", self.published)] if self.published else [])]

    @property
    def _coverage(self) -> list[int] | None:
        rarity = self.sample.rarity
        return list(rarity.coverage) if self.estimate and rarity and rarity.coverage else None

    def as_dict(self) -> dict[str, Any]:
        """The form in which `results.json` holds it; `scores` are by the released definition under every protocol."""
        classes, detectron2 = self.classes["released"], self.classes["detectron2"]
        return {
            "images": self.images,
            "images_found": self.extent.pictures,
            "images_expected": list(self.sample.expected) or None,
            "cut": self.extent.cut or None,
            **self.origin._asdict(),
            "definition": self.definition,
            "scores": self.definitions["released"].rounded(),
            "detectron2": self.definitions["detectron2"].rounded(),
            "mmseg": self.definitions["mmseg"].rounded(),
            "intervals": _intervals(self.estimate) if self.estimate else None,
            "published": self.published.rounded() if self.published else None,
            "published_source": self.published_source or None,
            "published_comparable": self.comparable,
            "remarks": list(self.remarks),
            "rare_classes": self.sample.rarity.rare if self.sample.rarity else None,
            "simulated_coverage": self._coverage,
            "per_class": [
                {
                    "label": label,
                    "name": name,
                    "pixels": int(classes.pixels[label]),
                    "accuracy": _percent(classes.accuracy[label]),
                    "IoU": _percent(classes.iou[label]),
                    "detectron2": {
                        "accuracy": _percent(detectron2.accuracy[label]),
                        "IoU": _percent(detectron2.iou[label]),
                    },
                }
                for label, name in enumerate(self.label_names)
            ],
        }


class Average(NamedTuple):
    """Mean mIoU of one method over several settings, by the protocol's own definition."""

    settings: list[str]
    mIoU: float  # noqa: N815 (the name in results.json)
    estimate: Estimate | None  # None where a setting has fewer than two pictures

    def as_dict(self) -> dict[str, Any]:
        """The form in which `results.json` holds it."""
        intervals = _intervals(self.estimate) if self.estimate else None
        return {"settings": self.settings, "mIoU": round(self.mIoU, 2), "intervals": intervals}


def _intervals(estimate: Estimate) -> dict[str, Any]:
    """Bounds of mIoU in percent, and of the difference to the run's first method in points."""
    difference = estimate.difference
    return {
        "level": LEVEL,
        "mIoU": [round(bound, 2) for bound in estimate.interval],
        "difference_to_first": {
            "mIoU": round(difference.value, 2),
            "interval": [round(bound, 2) for bound in difference.interval],
        }
        if difference
        else None,
    }


def _percent(fraction: Tensor) -> float | None:
    value = float(fraction)
    return None if value != value else round(100 * value, 2)


def results_document(
    results: Mapping[str, Sequence[SettingResult]],
    averages: Mapping[str, Average | None],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Content of `results.json`: the first method's settings, every method's with their mean, and how they were made.

    Args:
        results: by method those of the finished settings.
        averages: by method, None where there is no mean.
        provenance: whatever may differ between equal runs.
    """
    by_method = {
        method: {
            "settings": {result.name: result.as_dict() for result in settings},
            "average": average.as_dict() if (average := averages.get(method)) else None,
        }
        for method, settings in results.items()
    }
    main = next(iter(by_method.values()))["settings"] if by_method else {}
    return {"settings": main, "methods": by_method, "provenance": dict(provenance)}


def results_csv(results: Mapping[str, Sequence[SettingResult]]) -> str:
    """Content of `results.csv`: a line for each method, setting and definition."""
    lines: list[list[str | float | None]] = [
        ["method", "setting", *Origin._fields, "definition", "images", *COLUMNS, "remark"]
    ]
    for method, settings in results.items():
        for result in settings:
            remark = "; ".join(result.remarks)
            for definition, scores in result.lines:
                images = result.images if definition != "published" else None
                figures = scores.rounded().values()
                lines.append([method, result.name, *result.origin, definition, images, *figures, remark])
    return csv_text(lines)


def score_table(
    results: Mapping[str, Sequence[SettingResult]], protocol: str, notes: Sequence[str] = (), narrow: bool = False
) -> Table:
    """A table of all methods and settings by the protocol's own definition, published figures beside ours.

    The best figure of a setting is bold, the main method has a `>`.

    Args:
        results: by method, the main one first.
        protocol: label.
        notes: sentences that stand below.
        narrow: leaves out what others publish, mIoU by other definitions, and lines between columns.
    """
    rows = [(method, result) for method, settings in results.items() for result in settings]
    published = [result.published._asdict() for _, result in rows if result.published]
    known = [column for column in COLUMNS if any(figures[column] == figures[column] for figures in published)]
    others = list(rows[0][1].definitions)[1:] if rows else []
    if narrow:
        known, others = [], []
    named = f", {rows[0][1].definition} definitions" if rows else ""
    remarked = with_remarks([result for _, result in rows]) and not narrow
    below = [*([MARKS] if len(results) > 1 else []), *notes]
    title, caption = Text(f"protocol {protocol}, percent{named}{stand_in(results)}"), Text("\n".join(below))
    table = Table(title=title, caption=caption if below else None, title_justify="left", caption_justify="left")
    if narrow:
        table.box, table.pad_edge, table.collapse_padding = box.SIMPLE_HEAD, False, True
    table.add_column("method", overflow="fold")
    table.add_column("setting", overflow="fold")
    for column in ("images", *COLUMNS, INTERVAL, *(f"{definition}\nmIoU" for definition in others)):
        table.add_column(column, justify="right", no_wrap=True)
    for column in known:
        table.add_column(f"{column}\npublished\n(ViT-B/16)", justify="right", style="dim", no_wrap=True)
    if remarked:
        table.add_column("remark", overflow="fold")
    best = {name: best_of([figures_shown(row) for _, row in rows if row.name == name]) for name in _names(rows)}
    for method, result in rows:
        shown = figures_shown(result)
        cells = [
            Text(figure(value), "bold" if is_best(value, top) else "")
            for value, top in zip(shown, best[result.name], strict=True)
        ]
        interval = interval_text(result.estimate.interval) if result.estimate else ""
        row = [marked(method, method == rows[0][0] and len(results) > 1), result.name, result.images_text]
        beside = [figure(getattr(result.published, column)) if result.published else "" for column in known]
        beside += ["; ".join(result.remarks)] if remarked else []
        own, of_others = cells[: len(COLUMNS)], cells[len(COLUMNS) : len(COLUMNS) + len(others)]
        table.add_row(*map(Text, row), *own, Text(interval), *of_others, *map(Text, beside))
    return table


def figures_shown(result: SettingResult) -> list[float]:
    """What a table shows of a result: all by the protocol's own definition, then mIoU by the others."""
    return [*result.headline, *(scores.mIoU for scores in list(result.definitions.values())[1:])]


def with_remarks(results: Iterable[SettingResult]) -> bool:
    """Whether a table needs a column for remarks: a title alone says of the stand-in beside nothing published."""
    return any(result.remarks and (result.published or set(result.remarks) != {STAND_IN}) for result in results)


def stand_in(results: Mapping[str, Sequence[SettingResult]]) -> str:
    """End of a title that names the stand-in for CLIP; nothing for other models."""
    known = any(STAND_IN in result.remarks for settings in results.values() for result in settings)
    return f"; {STAND_IN_TITLE}" if known else ""


MARKS = "> main method; bold: the best"


def marked(method: str, main: bool) -> str:
    """The main method's name has a mark, for bold is the best's."""
    return f"> {method}" if main else method


def best_of(rows: Sequence[Sequence[float | None]]) -> list[float | None]:
    """The highest figure of each column as it is printed; None where fewer than two rows have one."""
    columns = (
        [round(value, 2) for value in column if value is not None and value == value]
        for column in zip(*rows, strict=True)
    )
    return [max(known) if len(known) > 1 else None for known in columns]


def is_best(value: float | None, best: float | None) -> bool:
    """Whether a figure is printed as the best one is."""
    return value is not None and best is not None and round(value, 2) == best


def _names(rows: Sequence[tuple[str, SettingResult]]) -> list[str]:
    return list(dict.fromkeys(result.name for _, result in rows))


def figure(value: float | None) -> str:
    """Two decimals, or `-` where there is no figure."""
    return "-" if value is None or value != value else f"{value:.2f}"


def interval_text(bounds: Sequence[float], signed: bool = False) -> str:
    """`12.34 to 56.78`; `signed` for a difference."""
    return " to ".join(f"{bound:+.2f}" if signed else f"{bound:.2f}" for bound in bounds)


def print_table(*tables: Table) -> None:
    """Prints the first table that fits the window of a terminal, else the last; a file gets the first at full width.

    Args:
        tables: the same figures, ever narrower.
    """
    console, wanted = Console(), [Console(width=10_000).measure(table).maximum for table in tables]
    if not console.is_terminal:
        Console(width=wanted[0]).print(tables[0])
        return
    fitting = [table for table, width in zip(tables, wanted, strict=True) if width <= console.width]
    console.print(fitting[0] if fitting else tables[-1])
