"""Run folders of others, places that cannot be written, streams that are closed."""

import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bad_inputs.cases import ROOT_OF_CASE, Case, changed, fifo, put, replaced, scoring


def full_disk(size: int) -> Callable[[], None]:
    """No file of this process grows beyond `size` bytes, as on a full disk."""

    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return before


def place_cases() -> Iterator[Case]:
    """Output and cache folders."""
    out = "--trainer.default_root_dir"
    for place in ("/proc/none", "/dev/null", "/dev/null/none", "/nowhere\0", "/sys/none"):
        yield changed(f"output folder {place!r}", lambda root: None, out, place, end="refused")
    yield changed("output folder: a file", put("out", "x"), end="refused", says="out")
    yield changed("output folder: a pipe", lambda root: os.mkfifo(root / "out"), end="refused", says="out")
    yield changed(
        "output folder: a link to itself", lambda root: (root / "out").symlink_to("out"), end="refused", says="out"
    )
    yield changed(
        "output folder with a name of 300 bytes", lambda root: None, out, "{root}/" + "x" * 300, end="refused"
    )
    for place in ("/proc/none", "/dev/null/none", "/dev/null", "/dev/zero", "{relative}/cache", ""):
        yield changed(f"cache folder {place!r}", lambda root: None, end="right", before=cache_in(place))
    yield changed("cache folder: a file", put("cache", "x"), end="right", before=cache_in("{root}/cache"))
    for size in (1000, 20_000, 100_000):
        yield changed(f"a disk full at {size} bytes", lambda root: None, end="any", before=full_disk(size))
    yield changed("no memory", lambda root: None, "--data.batch_size", "1", end="any", before=little_memory)


def cache_in(place: str) -> Callable[[], None]:
    """Names the folder of encoded text; `{root}` is the inputs' folder, `{relative}` its relative path."""

    def before() -> None:
        root = os.environ[ROOT_OF_CASE]
        os.environ["CLIPTRASE_CACHE"] = place.format(root=root, relative=os.path.relpath(root))

    return before


def little_memory() -> None:
    """Some 64 MiB beyond what the process holds already."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + (64 << 20),) * 2)


def stream_cases() -> Iterator[Case]:
    """Standard streams that are closed or full: the figures are the same."""

    def pipe_without_reader(number: int) -> Callable[[], None]:
        def before() -> None:
            read, write = os.pipe()
            os.close(read)
            os.dup2(write, number)

        return before

    yield changed(
        "standard output: a pipe without a reader", lambda root: None, end="right", before=pipe_without_reader(1)
    )
    yield changed(
        "standard error: a pipe without a reader", lambda root: None, end="right", before=pipe_without_reader(2)
    )
    yield changed(
        "standard output: full",
        lambda root: None,
        end="any",
        before=lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 1),
    )
    yield changed(
        "standard error: full",
        lambda root: None,
        end="any",
        before=lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 2),
    )
    yield changed("standard output: closed", lambda root: None, end="any", before=lambda: os.close(1))
    yield changed("standard input: closed", lambda root: None, end="right", before=lambda: os.close(0))


def tampered(path: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Changes a JSON file of the run in `out/run`."""

    def apply(root: Path) -> None:
        (file,) = root.glob(f"out/*/{path}")
        document = json.loads(file.read_text())
        made = change(document)
        file.write_text(json.dumps(document if made is None else made))

    return apply


def _setting(document: dict[str, Any]) -> Any:
    return next(iter(document["settings"].values()))


RESULTS: dict[str, Callable[[Any], Any]] = {
    "a list": lambda document: [],
    "null": lambda document: "null",
    "another schema": lambda document: document.update(schema=1),
    "no headline": lambda document: document.pop("headline") and None,
    "no settings": lambda document: document.pop("settings") and None,
    "settings a list": lambda document: document.update(settings=[]),
    "settings a number": lambda document: document.update(settings=5),
    "no methods": lambda document: document.pop("methods") and None,
    "methods null": lambda document: document.update(methods=None),
    "a method null": lambda document: document["methods"].update(cliptrase=None),
    "no provenance": lambda document: document.pop("provenance") and None,
    "provenance a list": lambda document: document.update(provenance=[1]),
    "protocol a number": lambda document: document["provenance"].update(protocol=3),
    "model a list": lambda document: document["provenance"].update(model=[]),
    "scores a word": lambda document: _each(document, scores="x"),
    "scores null": lambda document: _each(document, scores=None),
    "a score of words": lambda document: _each(document, scores={"released": {"mIoU": "<script>"}}),
    "images a word": lambda document: _each(document, images="many"),
    "per_class a number": lambda document: _each(document, per_class=5),
    "per_class of numbers": lambda document: _each(document, per_class=[1, 2]),
    "definition unknown": lambda document: _each(document, definition="nonsense"),
    "intervals a number": lambda document: _each(document, intervals=3),
    "published a list": lambda document: _each(document, published=[1, 2, 3]),
    "a name of markup": lambda document: document["settings"].update({"<img src=x>": _setting(document)}),
    "a score of NaN": lambda document: _released(document, pAcc=float("nan")),
    "a huge score": lambda document: _released(document, pAcc=1e308, mIoU=10**400),
}


def _each(document: dict[str, Any], **values: Any) -> None:
    """Sets values of every setting, of the run and of its methods."""
    for part in (document, *document["methods"].values()):
        for result in part["settings"].values():
            result.update(values)


def _released(document: dict[str, Any], **values: Any) -> None:
    """Sets scores by the released definition of every setting, of the run and of its methods."""
    for part in (document, *document["methods"].values()):
        for result in part["settings"].values():
            result["scores"]["released"].update(values)


SHEETS: dict[str, Any] = {
    "of another place": {"file": "/etc/passwd"},
    "above": {"file": "../results.json"},
    "far above": {"file": "../../../../../../etc/passwd"},
    "a device": {"file": "/dev/zero"},
    "a number": {"file": 5},
    "null": {"file": None},
    "nowhere": {"file": "nowhere.png"},
    "a folder": {"file": "."},
    "mIoU a word": {"mIoU": "x"},
    "stem a list": {"stem": [1]},
}


def run_cases() -> Iterator[Case]:
    """`report` and `--resume` on run folders that somebody changed; each case has one finished run in `out/`."""
    for name, change in RESULTS.items():
        yield changed(f"report of results: {name}", tampered("results.json", change), end="any", command=reporting)
    for name, values in SHEETS.items():
        yield changed(
            f"report of a sheet: {name}",
            tampered(
                "sheets/sheets.json",
                lambda document, values=values: [line.update(values) for line in document["sheets"]] and None,
            ),
            end="any",
            command=reporting,
        )
    for name, content in {"empty": "", "cut": '{"settings": {', "binary": b"\xff\0", "a web page": "<html>"}.items():
        for file in ("results.json", "sheets/sheets.json"):
            yield changed(f"report of {file}: {name}", overwritten(file, content), end="any", command=reporting)
    for file in ("results.json", "sheets/sheets.json"):
        yield changed(f"report of {file}: a pipe", in_run(file, fifo), end="any", command=reporting)
        yield changed(
            f"report of {file}: a folder", in_run(file, lambda path: path.mkdir()), end="any", command=reporting
        )
        yield changed(
            f"report of {file}: /dev/zero",
            in_run(file, lambda path: path.symlink_to("/dev/zero")),
            end="any",
            command=reporting,
        )
    for name, change in RESULTS.items():
        yield changed(f"resume beside results: {name}", tampered("results.json", change), end="right", command=resuming)
        if name in ("settings a list", "a score of words", "intervals a number", "a name of markup"):
            yield changed(
                f"verify of results: {name}", tampered("results.json", change), end="refused", command=verifying
            )
    for file in ("results.json", "confusion/Folder.npz", "config.yaml"):
        for name, content in {"empty": "", "cut": b"PK\x03\x04", "text": "nonsense"}.items():
            yield changed(f"resume beside {file}: {name}", overwritten(file, content), end="right", command=resuming)
        yield changed(f"resume beside {file}: a pipe", in_run(file, fifo), end="right", command=resuming)
        yield changed(f"resume beside {file}: gone", in_run(file, lambda path: None), end="right", command=resuming)


def in_run(file: str, how: Callable[[Path], object]) -> Callable[[Path], None]:
    """Replaces a file of the run."""

    def change(root: Path) -> None:
        (path,) = root.glob(f"out/*/{file}")
        replaced(str(path.relative_to(root)), how)(root)

    return change


def overwritten(file: str, content: str | bytes) -> Callable[[Path], None]:
    """Writes other content into a file of the run."""

    def change(root: Path) -> None:
        (path,) = root.glob(f"out/*/{file}")
        put(str(path.relative_to(root)), content)(root)

    return change


def reporting(root: Path) -> list[str]:
    """`report` on the run."""
    (folder,) = (root / "out").iterdir()
    return ["report", str(folder), "--out", str(root / "r.html")]


def verifying(root: Path) -> list[str]:
    """`verify` of the run."""
    (folder,) = (root / "out").iterdir()
    return ["verify", str(folder)]


def resuming(root: Path) -> list[str]:
    """`test --resume` beside the run."""
    return [*scoring(root), "--resume"]
