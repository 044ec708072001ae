"""Random kills: a run is killed at a random time, `--resume` goes on, and every file must be that of an unbroken run.

python -m benchmarks.kills --kills 60

The run is a `Benchmark` of three with two methods and sheets, on the tiny CLIP of the tests. Processes are forked from
one that has imported everything, so that kills fall into the run and not into imports; `--imports 10` starts every
tenth as `python cli.py` instead. A resumed run may be killed again. The exit status is 1 where anything differs.
"""

import argparse
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

import cliptrase.cli  # noqa: F401 (imported before the fork)
from cliptrase.evaluation.comparison import Comparison
from cliptrase.report.csv_tables import comparison_csv
from cliptrase.report.load import read_run
from cliptrase.report.markdown import comparison_markdown
from cliptrase.report.page import page
from cliptrase.runs.folder import UNENDED
from datamodules import ADE150, PC59, VOC20
from tests.kit import save_tiny_clip, write_detectron2_tree

ROOT = Path(__file__).resolve().parents[1]
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SHEETS = "[{class_path: cliptrase.runs.callbacks.TensorBoardMasks, init_args: {pictures: 1, worst: 1}}]"
_SIZES = ((96, 96), (80, 70), (64, 90), (70, 70))
_HELD = 300  # seconds after which a run that does not end is a failure


@dataclass(frozen=True)
class Kill:
    """What a kill met.

    Attributes:
        signal: its name.
        after: seconds from the start, or from when the run's folder was there.
        late: which of the two.
        status: exit status of the process.
        held: what the run's folder held then.
    """

    signal: str
    after: float
    late: bool
    status: int
    held: str


def arguments(place: Path) -> list[str]:
    """The command that is killed; its inputs are made under `place`."""
    for seed, module in enumerate((VOC20, PC59, ADE150)):
        write_detectron2_tree(place / "datasets", module.spec, sizes=_SIZES, seed=10 * seed)
    clip = save_tiny_clip(place / "clip")
    chosen = ["--config", "configs/paper_224.yaml", "--protocol.size", "64", "--model.compare", "[vanilla]"]
    data = ["--data", "Benchmark", "--data.settings", "[VOC20, PC59, ADE150]", "--data.root", str(place / "datasets")]
    small = ["--data.batch_size", "1", "--data.num_workers", "0", "--trainer.accelerator", "cpu"]
    return [
        *("test", *chosen, *data, *small, "--model.clip", f"local-dir:{clip}"),
        *("--trainer.callbacks", SHEETS, "--trainer.enable_progress_bar", "false"),
    ]


def start(command: list[str], log: Path, imports: bool) -> int:
    """Starts the command line in a process of its own, and gives its number; what it prints goes to `log`."""
    if imports:
        with log.open("ab") as file:
            whole = [sys.executable, "cli.py", *command]
            return subprocess.Popen(whole, cwd=ROOT, stdout=file, stderr=file, start_new_session=True).pid
    sys.stdout.flush()
    if number := os.fork():
        return number
    status = 70
    try:
        os.setsid()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.chdir(ROOT)
        sys.argv = ["cli.py", *command]
        runpy.run_path("cli.py", run_name="__main__")
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def wait(number: int, seconds: float) -> int | None:
    """Exit status of a process, negative for a signal; None where it lives on after that time."""
    until = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(number, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return None
        time.sleep(0.002)


def until_folder(out: Path, number: int) -> float:
    """Waits until a run has its folder, or ended; gives the seconds that took."""
    began = time.monotonic()
    while (
        not any(out.glob(f"*/{UNENDED}")) and os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    ):
        time.sleep(0.002)
    return time.monotonic() - began


def held(out: Path) -> str:
    """What the newest run's folder holds."""
    folders = sorted(out.glob("*")) if out.is_dir() else []
    if not folders:
        return "nothing"
    if not (folders[-1] / UNENDED).exists():
        return "the whole run"
    count = len(list((folders[-1] / "confusion").glob("*.npz")))
    report = ", report" if (folders[-1] / "report.html").exists() else ""
    return f"{count} of 3 settings{report}"


def unequal(folder: Path, unbroken: Path) -> Iterator[str]:
    """What differs between a run that was killed and one that was not, dates and durations left out."""
    names, expected = ({str(path.relative_to(place)) for path in _files(place)} for place in (folder, unbroken))
    yield from (f"{name} is there in one only" for name in sorted(names ^ expected))
    document, whole = (json.loads((place / "results.json").read_text()) for place in (folder, unbroken))
    made, made_whole = document.pop("provenance"), whole.pop("provenance")
    if document != whole:
        yield "results.json"
    if made.keys() != made_whole.keys() or made["unfinished"] or made["identity"] != made_whole["identity"]:
        yield "provenance"
    expected_run = replace(read_run(unbroken), name=folder.name, document={**whole, "provenance": made})
    compared = Comparison(expected_run.document)
    texts = {
        "report.html": page([expected_run]),
        "comparison.csv": comparison_csv(compared),
        "comparison.md": comparison_markdown(compared),
    }
    for name in sorted(names & expected):
        one, other = folder / name, unbroken / name
        if name in texts:
            same = one.read_bytes() == texts[name].encode()
        elif one.suffix == ".npz":
            with np.load(one) as found, np.load(other) as right:
                same = found.files == right.files and all(np.array_equal(found[key], right[key]) for key in right.files)
        elif name == "config.yaml":
            texts_of = (place.joinpath(name).read_text().replace(str(place.parent), "") for place in (folder, unbroken))
            same = len(set(texts_of)) == 1
        else:
            same = name == "results.json" or one.read_bytes() == other.read_bytes()
        if not same:
            yield name
    if _events(folder) != _events(unbroken):
        yield "TensorBoard"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("events.out.tfevents")]


def _events(folder: Path) -> tuple[dict[str, float], set[str], set[str]]:
    """Scalars with their last value, tags of pictures and of texts."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()
    scalars = {tag: events.Scalars(tag)[-1].value for tag in tags["scalars"]}
    return scalars, set(tags["images"]), set(tags["tensors"])


def ended(out: Path) -> Path:
    """The folder of the run that came to its end."""
    (folder,) = (path for path in out.iterdir() if not (path / UNENDED).exists())
    return folder


def main() -> int:
    """Kills, resumes, compares, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--imports", type=int, default=0, help="every n-th process imports everything anew")
    parser.add_argument("--again", type=float, default=0.3, help="share of resumed runs that are killed again")
    options = parser.parse_args()
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background job would pass on that it is ignored
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        os.environ["CLIPTRASE_CACHE"] = str(place / "cache")
        command = arguments(place)

        def begin(out: Path, log: Path, *more: str, imports: bool = False) -> int:
            return start([*command, "--trainer.default_root_dir", str(out), *more], log, imports)

        spans = []
        for name in ("encoding", "unbroken"):  # the first one also encodes the text
            number, began = begin(place / name, place / "log"), time.monotonic()
            taken = until_folder(place / name, number)
            status = wait(number, _HELD)
            spans.append((taken, time.monotonic() - began))
            if status != 0:
                print((place / "log").read_text())
                return 1
        unbroken, (taken, whole) = ended(place / "unbroken"), spans[-1]
        print(f"an unbroken run takes {whole:.2f} s, its folder is there after {taken:.2f} s; seed {options.seed}")
        kills, late_kills, rounds, failures, places = 0, 0, 0, 0, Counter[str]()
        reach = 1.0  # of the time that an unbroken run took; the machine may have been busier then
        while kills < options.kills:
            out, log = place / f"out{rounds}", place / f"log{rounds}"
            rounds += 1
            met: list[Kill] = []
            more: tuple[str, ...] = ()
            while not met or (kills < options.kills and chance.random() < options.again):
                imports = bool(options.imports) and kills % options.imports == options.imports - 1
                number, chosen = begin(out, log, *more, imports=imports), chance.choice(SIGNALS)
                # Half of the kills wait for the run's folder, for loading the model takes most of so small a run.
                late = not more and chance.random() < 0.5
                if late:
                    until_folder(out, number)
                share = chance.uniform(0, reach)
                after = share * (whole - taken if late else whole) + (spans[0][1] if imports and not late else 0)
                found = wait(number, after)
                if found is not None:  # it ended first: no kill
                    late_kills += 1
                    reach = max(0.3, 0.93 * reach)
                    met.append(Kill("none", after, late, found, held(out)))
                    break
                os.killpg(number, chosen)
                found = wait(number, _HELD)
                kills += 1
                met.append(Kill(chosen.name, after, late, -99 if found is None else found, held(out)))
                more = ("--resume",)
            told = len(log.read_text(errors="replace"))
            status = wait(begin(out, log, "--resume"), _HELD)
            text = log.read_text(errors="replace")
            resumed = next((word for word in ("resumed", "nothing to resume") if f"{word}:" in text[told:]), "neither")
            # Where a killed run had ended already, the resumed one is a second one.
            finished = [path for path in out.iterdir() if not (path / UNENDED).exists()]
            wrong = [f"exit status {status}"] * (status != 0)
            wrong += [f"{folder.name}: {name}" for folder in finished for name in unequal(folder, unbroken)]
            wrong += ["a traceback"] * (text.count("Traceback (most recent") > 0)
            wrong += ["no run ended"] * (not finished)
            failures += bool(wrong)
            places.update(row.held for row in met if row.signal != "none")
            for row in met:
                since = "the folder" if row.late else "the start"
                print(f"{row.signal:8} {row.after:5.2f} s after {since}  exit {row.status:4}  held {row.held}")
            print(f"    {resumed}; {'; '.join(wrong) or 'every file and figure is equal'}", flush=True)
            if wrong:
                print(text)
        print(
            f"{kills} kills ({late_kills} more came too late), {failures} differ; the killed runs held: {dict(places)}"
        )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
