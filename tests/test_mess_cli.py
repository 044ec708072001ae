"""MESS on the command line: its figures in `results.json`, tables and the report are those of a plain computation."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cliptrase.cli.known import known_data
from cliptrase.common.errors import InputError
from cliptrase.evaluation.domain_lines import domain_tables
from cliptrase.evaluation.intervals import LEVEL
from cliptrase.evidence.verification import verify_run
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.report.load import read_run
from cliptrase.report.page import page
from cliptrase.report.terminal import domain_sheet
from tests.command import Run, run
from tests.mess_tree import LAYOUT, write_mess_tree
from tests.sheets import printed
from tests.test_results_json import PAGE, ROW, fields, is_kind, pattern

METHODS = ("vanilla", "sclip")
PAXRAY = ("PAXRay-Lungs", "PAXRay-Mediastinum", "PAXRay-Bones", "PAXRay-Diaphragm")
FIGURES = [*dict.fromkeys("PAXRay-4" if name in PAXRAY else name for name in LAYOUT)]
DOMAINS = {
    "General": FIGURES[:6],
    "Earth Monitoring": FIGURES[6:11],
    "Medical Sciences": FIGURES[11:15],
    "Engineering": FIGURES[15:19],
    "Agriculture and Biology": FIGURES[19:],
}
# Labels that are of no interest to MESS, where that is not label 0 alone.
BESIDE = {
    "BDD100K": (),
    "ATLANTIS": (),
    "DRAM": (11,),
    "ISPRS_Potsdam": (5,),
    "WorldFloods": (0, 2),
    "FloodNet": (0, 2, 4, 5, 6, 7, 8, 9),
}


@pytest.fixture(scope="module")
def mess(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Run:
    """All of MESS under `paper_224`, two pictures a data set."""
    root = tmp_path_factory.mktemp("mess")
    data = ("--data", "Benchmark", "--data.root", str(write_mess_tree(root / "data")), "--data.settings", "mess")
    model = ("--model.clip", f"local-dir:{tiny_clip}", "--model.method", METHODS[0], "--model.compare", METHODS[1])
    return run("test", root / "out", "--config", "paper_224", *data, *model)


def plain(confusion: NDArray[np.int64], name: str, only_predicted: bool) -> dict[str, float]:
    """Scores of a confusion matrix, class by class; whether a class that is only predicted counts, as 0."""
    count = len(confusion)
    ious: dict[int, float] = {}
    right: dict[int, float] = {}
    for label in range(count):
        truth, predicted, hit = confusion[label].sum(), confusion[:, label].sum(), confusion[label, label]
        if truth:
            right[label] = 100 * hit / truth
        if truth or (only_predicted and predicted):
            ious[label] = 100 * hit / (truth + predicted - hit)
    interest = [iou for label, iou in ious.items() if label not in BESIDE.get(name, (0,))]
    found = {"mIoU": sum(ious.values()) / len(ious), "CoI_mIoU": sum(interest) / len(interest)}
    if count == 2:
        found |= {"sensitivity": right[1], "specificity": right[0]}
    return found


def expected(mess: Run, method: str, only_predicted: bool) -> dict[str, dict[str, float]]:
    """Scores of every figure."""
    found = {}
    for figure in FIGURES:
        sets = []
        for name in PAXRAY if figure == "PAXRay-4" else (figure,):
            with np.load(mess.folder / "confusion" / f"{name}.npz") as counts:
                sets.append(plain(counts[f"{method}/confusion"], name, only_predicted))
        found[figure] = {column: sum(one[column] for one in sets) / len(sets) for column in sets[0]}
    return found


def mean(figures: list[dict[str, float]]) -> dict[str, float]:
    return {column: sum(one[column] for one in figures) / len(figures) for column in ("mIoU", "CoI_mIoU")}


def check(scores: dict[str, Any], wanted: dict[str, float]) -> None:
    assert {column: value for column, value in scores.items() if value is not None} == {
        column: pytest.approx(value, abs=0.0051) for column, value in wanted.items()
    }


@pytest.mark.parametrize(("definition", "only_predicted"), [("detectron2", False), ("mmseg", True)])
@pytest.mark.parametrize("method", METHODS)
def test_every_figure_is_that_of_a_plain_computation(
    mess: Run, method: str, definition: str, only_predicted: bool
) -> None:
    found = mess.results["methods"][method]["benchmarks"]["MESS"]
    wanted = expected(mess, method, only_predicted)
    assert (found["missing"], len(found["figures"])) == ([], 22)
    assert [figure["name"] for figure in found["figures"]] == FIGURES
    for figure in found["figures"]:
        check(figure["scores"][definition], wanted[figure["name"]])
    assert {domain["name"]: domain["figures"] for domain in found["domains"]} == {
        domain: len(names) for domain, names in DOMAINS.items()
    }
    for domain in found["domains"]:
        check(domain["scores"][definition], mean([wanted[name] for name in DOMAINS[domain["name"]]]))
    check(found["mean"]["scores"][definition], mean([*wanted.values()]))
    assert (found["mean"]["figures"], found["mean"]["figures_expected"]) == (22, 22)


def test_the_headline_counts_the_parts_of_paxray_as_one(mess: Run) -> None:
    """The protocol's definition adds 0.01 pixels to each denominator, which shows in no second decimal here."""
    results = mess.results
    value = mean([*expected(mess, METHODS[0], only_predicted=False).values()])["mIoU"]
    assert results["headline"]["definition"] == "released"
    assert results["headline"]["mIoU"] == pytest.approx(value, abs=0.011)
    average, benchmark = (results["methods"][METHODS[1]][key] for key in ("average", "benchmarks"))
    assert average["settings"] == list(LAYOUT)
    bounds = benchmark["MESS"]["mean"]["intervals"]
    assert bounds["level"] == LEVEL
    assert average["intervals"]["mIoU"] == pytest.approx(bounds["mIoU"], abs=0.02)
    differences = (part["difference_to_first"] for part in (average["intervals"], bounds))
    ours, theirs = ([part["mIoU"], *part["interval"]] for part in differences)
    assert ours == pytest.approx(theirs, abs=0.02)


def test_every_field_is_described(mess: Run) -> None:
    described = {field: words.strip() for field, words, _, _ in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    document = mess.results
    patterns = {
        field: re.compile(pattern(field, document).pattern.replace("BENCHMARK", "MESS"))
        for field in described
        if ".benchmarks." in field
    }
    seen = set()
    for path, value in fields(document):
        if ".benchmarks." in path:
            matching = [field for field, known in patterns.items() if known.fullmatch(path)]
            assert matching, f"{path} is not described"
            for field in matching:
                assert is_kind(value, described[field]), f"{path} is no {described[field]}: {value!r}"
            seen.update(matching)
    assert seen == set(patterns)


def test_the_csv_has_22_figures_five_domains_and_the_mean(mess: Run) -> None:
    lines = list(csv.DictReader((mess.folder / "benchmarks.csv").read_text(encoding="utf-8").splitlines()))
    assert len(lines) == len(METHODS) * len(DEFINITIONS) * (22 + 5 + 1)
    for method in METHODS:
        wanted = expected(mess, method, only_predicted=False)
        rows = [line for line in lines if (line["method"], line["definition"]) == (method, "detectron2")]
        assert [row["name"] for row in rows if row["kind"] == "figure"] == FIGURES
        for row in rows:
            names = {"figure": [row["name"]], "domain": DOMAINS.get(row["domain"], []), "mean": FIGURES}[row["kind"]]
            assert float(row["mIoU"]) == pytest.approx(mean([wanted[name] for name in names])["mIoU"], abs=0.0051)
            assert float(row["low"]) <= float(row["mIoU"]) <= float(row["high"])
            assert (row["difference"] == "") == (method == METHODS[0])
        assert [(row["name"], row["figures"]) for row in rows if row["kind"] == "mean"] == [("MESS", "22")]


def test_its_figures_follow_from_the_counts(mess: Run) -> None:
    found = verify_run(mess.folder, known_data())
    assert [finding.sentence for finding in found.findings] == []
    assert "benchmarks.csv" in found.verdict


def test_the_report_shows_all_of_it(mess: Run) -> None:
    shown = page([read_run(mess.folder)])
    (section,) = re.findall(r"<h2>MESS</h2>(.*?)<h2>", shown, flags=re.DOTALL)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", section)]
    texts = [[re.sub(r"<small[^>]*>.*?</small>|<[^>]+>", "", cell) for cell in row] for row in rows]
    wanted = expected(mess, METHODS[0], only_predicted=False)
    figures = {row[0]: row for row in texts if row[0] in FIGURES and row[1] == METHODS[0]}
    assert [*figures] == FIGURES
    for name, row in figures.items():
        assert re.fullmatch(r"2 of \d+", row[2])
        assert float(row[3]) == pytest.approx(wanted[name]["mIoU"], abs=0.0051)
        assert (row[5] != "-") == (row[6] != "-") == ("sensitivity" in wanted[name])
    means = [row for row in texts if row[0].startswith("mean of") and row[1] == METHODS[0]]
    counts = [len(names) for names in DOMAINS.values()]
    assert [row[0] for row in means] == [f"mean of {count}" for count in (*counts, 22)]
    assert float(means[-1][3]) == pytest.approx(mean([*wanted.values()])["mIoU"], abs=0.0051)
    assert "counts a class that is predicted but not in the truth as 0" in section
    both = page([read_run(mess.folder)] * 2)
    assert re.findall("<h2>(MESS.*?)</h2>", both) == ["MESS, run A", "MESS, run B"]


@pytest.mark.parametrize("several", [False, True])
def test_the_narrow_table_fits_80_columns(mess: Run, several: bool) -> None:
    document = mess.results
    if not several:
        document["methods"] = {METHODS[0]: document["methods"][METHODS[0]]}
    (table,) = domain_tables(document)
    lines = printed(domain_sheet(table), width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    text = " ".join(" ".join(lines).split())
    for name in FIGURES:
        assert name in text
    assert text.count(METHODS[0]) == (2 * 28 if several else 0)  # in two parts


def test_a_part_of_mess_says_so(tmp_path: Path, tiny_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three of four parts of PAXRay are no figure, and means say over how many figures they are."""
    names = ("DeepCrack", "PST900", *PAXRAY[:3])
    data = write_mess_tree(tmp_path / "data", names)
    options = ("--data", "Benchmark", "--data.root", str(data), "--data.settings", f"[{', '.join(names)}]")
    done = run("test", tmp_path / "out", "--config", "paper_224", *options, "--model.clip", f"local-dir:{tiny_clip}")
    found = done.results["methods"]["cliptrase"]["benchmarks"]["MESS"]
    assert [figure["name"] for figure in found["figures"]] == ["DeepCrack", "PST900"]
    assert (found["mean"]["figures"], found["mean"]["figures_expected"], len(found["missing"])) == (2, 22, 20)
    assert "PAXRay-4" in found["missing"]
    (domain,) = found["domains"]
    assert (domain["name"], domain["figures"], domain["figures_expected"]) == ("Engineering", 2, 4)
    printed = " ".join(capsys.readouterr().out.split())
    report = (done.folder / "report.html").read_text(encoding="utf-8")
    for text in (printed, report):
        assert "mean of 2 of 22" in text
        assert "a mean over 2 does not compare with one over 22" in text


FAULTS = {
    "no figures": lambda found: found.pop("figures"),
    "too many figures": lambda found: found.update(figures=found["figures"] * 5),
    "a figure without a name": lambda found: found["figures"][0].pop("name"),
    "a figure of a data set that is not there": lambda found: found["figures"][0].update(settings=["Elsewhere"]),
    "a domain that is no text": lambda found: found["figures"][0].update(domain=3),
    "a score above 100": lambda found: found["figures"][3]["scores"]["mmseg"].update(CoI_mIoU=101),
    "a score that is missing": lambda found: found["mean"]["scores"]["released"].pop("mIoU"),
    "an unknown definition": lambda found: found.update(definition="mine"),
    "a note that is no text": lambda found: found.update(note=None),
    "a count that is no number": lambda found: found["domains"][1].update(figures="six"),
    "an interval of one number": lambda found: found["mean"]["intervals"].update(mIoU=[1.0]),
    "another order than the first method's": lambda found: found["figures"].reverse(),
    "fewer domains than the first method's": lambda found: found["domains"].pop(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_document_of_another_shape_is_refused(mess: Run, fault: str, tmp_path: Path) -> None:
    document = mess.results
    FAULTS[fault](document["methods"][METHODS[1]]["benchmarks"]["MESS"])
    (tmp_path / "results.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"is not the results\.json of a run: "):
        read_run(tmp_path)
