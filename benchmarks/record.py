"""How a table of measurements is printed and stored: one CSV with where, when and with what it was made."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from cliptrase.common.io import write_text
from cliptrase.evaluation import provenance

RESULTS = Path(__file__).parent / "results"


def facts(device: torch.device, **further: Any) -> dict[str, Any]:
    """Columns that every row has: date, command, commit, hardware, what else is given, versions."""
    start = provenance.Start.of_this_process()
    versions = " ".join(f"{name}={version}" for name, version in start.versions.items())
    about = {"date": start.date, "command": start.command, "commit": start.commit}
    about |= {"device": provenance.device_name(device), "platform": start.platform}
    return about | further | {"versions": versions}


def store(name: str, rows: Iterable[Mapping[str, Any]], about: Mapping[str, Any], out: Path | None = None) -> Path:
    """Writes rows with `facts` as CSV, to `out` or to a file of this benchmark and minute among the results."""
    whole = [{**row, **about} for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in whole for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(whole)
    path = out or RESULTS / f"{name}_{about['date'][:16].replace(':', '')}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text.getvalue())
    return path


def show(value: Any) -> str:
    """A cell of a printed table."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def line(row: Mapping[str, Any]) -> str:
    """A row in words: `names 20, peak_mib 1234`."""
    return ", ".join(f"{name} {show(value)}" for name, value in row.items())
