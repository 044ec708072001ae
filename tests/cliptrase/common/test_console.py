"""Programs end on signals and closed streams with a sentence and the conventional status, never with a traceback."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cliptrase.common import console

ROOT = Path(__file__).resolve().parents[3]


def start(main: str, prints: bool = False, before: str = "") -> subprocess.Popen[str]:
    """Runs a program whose `main` has this body; it loads the standard library only."""
    body = "".join(f"    {line}\n" for line in main.splitlines())
    code = (
        "import os, signal, sys, time\nfrom cliptrase.common.console import *\nfrom cliptrase.common import console\n"
    )
    code += f"def main():\n{body}\nsys.exit(run(main, {prints}))\n"
    command = [sys.executable, "-c", code]
    if before:
        command = ["sh", "-c", f'{before} "$@"', "sh", *command]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


WAITS = "print('ready', flush=True)\ntime.sleep(60)\nreturn 0"


def send(process: subprocess.Popen[str], *signals: int) -> tuple[int, str]:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for signum in signals:
        os.kill(process.pid, signum)
    _, complaints = process.communicate(timeout=30)
    return process.returncode, complaints


@pytest.mark.parametrize(
    ("signum", "expected"),
    [
        (signal.SIGINT, (130, "error: interrupted\n")),
        (signal.SIGTERM, (143, "error: stopped by SIGTERM\n")),
        (signal.SIGHUP, (129, "error: stopped by SIGHUP\n")),
    ],
)
def test_a_signal_ends_with_a_sentence(signum: int, expected: tuple[int, str]) -> None:
    assert send(start(WAITS), signum) == expected


def test_a_second_signal_changes_nothing() -> None:
    """It comes while the first one is dealt with."""
    saves = WAITS.replace("time.sleep(60)", "try:\n  time.sleep(60)\nfinally:\n  time.sleep(0.5); print('saved')")
    process = start(saves)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)  # a signal within the print itself would come before what saves
    for signum in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        os.kill(process.pid, signum)
        time.sleep(0.1)
    printed, complaints = process.communicate(timeout=30)
    assert (process.returncode, printed, complaints) == (143, "saved\n", "error: stopped by SIGTERM\n")


@pytest.mark.parametrize(
    "loses",
    [
        "try:\n  time.sleep(60)\nexcept BaseException:\n  return 0",
        "try:\n  time.sleep(60)\nfinally:\n  return 1",
        "try:\n  time.sleep(60)\nexcept BaseException:\n  raise ImportError('odd') from None",
        "console._PATIENCE = 0.2\nwhile True:\n  try: time.sleep(60)\n  except BaseException: pass",
    ],
    ids=["swallowed", "other status", "other error", "never ends"],
)
def test_a_signal_that_the_code_loses_still_ends_with_its_status(loses: str) -> None:
    status, complaints = send(start(f"print('ready', flush=True)\n{loses}"), signal.SIGTERM)
    assert status == 143
    assert "Traceback" not in complaints
    if "return 1" not in loses:
        assert complaints == "error: stopped by SIGTERM\n"


def test_nohup_is_respected() -> None:
    quick = WAITS.replace("60", "0.5")
    assert send(start(quick, before="trap '' HUP; exec"), signal.SIGHUP) == (0, "")


def test_a_forked_process_keeps_its_signals_to_itself() -> None:
    """As a data worker that is killed does."""
    main = "child = os.fork()\nif child == 0:\n  time.sleep(60)\ntime.sleep(0.5)\nos.kill(child, signal.SIGTERM)\n"
    main += "_, status = os.waitpid(child, 0)\ntime.sleep(0.2)\nreturn 0 if os.WTERMSIG(status) == 15 else 3"
    process = start(main)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


PRINTS = "for _ in range(20000): print('a line')\nopen(os.environ['DONE'], 'w').write('done')\nreturn 0"


@pytest.mark.parametrize("place", ["pipe", "closed", "full"])
@pytest.mark.parametrize("prints", [False, True])
def test_standard_output_that_goes_away_changes_nothing(
    place: str, prints: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DONE", str(tmp_path / "done"))
    process = start(
        PRINTS, prints, before={"pipe": "", "closed": "exec >&-; exec", "full": "exec >/dev/full; exec"}[place]
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process:
        complaints = process.stderr.read()
        process.wait(timeout=30)
    assert (tmp_path / "done").read_text() == "done"
    lost = "standard output cannot be written (No space left on device); give it another place\n"
    expected = ("error: " if prints else "warning: ") + lost if place == "full" else ""
    assert complaints == expected
    assert process.returncode == int(prints and place == "full")


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", str(tmp_path / "kept"))
    main = "file = open(os.environ['KEPT'], 'w')\nprint('out'); print('err', file=sys.stderr)\n"
    main += "os.write(1, b'raw'); os.write(2, b'raw')\nfile.write('kept')\nreturn 0"
    process = start(main, before="exec <&- >&- 2>&-; exec")
    with process:
        assert process.wait(timeout=30) == 0
    assert (tmp_path / "kept").read_text() == "kept"


@pytest.mark.parametrize("name", ["caf\u00e9 \u732b", "\udce9"])
def test_letters_that_a_stream_does_not_know(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    process = start(f"print({name!a})\nreturn complain({name!a})")
    expected = name.encode("ascii", "backslashreplace").decode()
    assert process.communicate(timeout=30) == (f"{expected}\n", f"error: {expected}\n")


def test_without_the_packages() -> None:
    """`python cli.py` by a Python that has none of them."""
    command = [sys.executable, "-S", "cli.py", "test"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is not installed for" in done.stderr
    assert "uv run python cli.py" in done.stderr


def test_a_complaint_on_a_terminal_is_broken_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    path = "/data/" + 30 * "long-name"
    for stream, lines in (
        (Terminal(), ["error: no picture in", path, "was read"]),
        (io.StringIO(), [f"error: no picture in {path} was read"]),
    ):
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setenv("COLUMNS", "24")
        assert console.complain(f"no picture in {path} was read", 3) == 3
        assert stream.getvalue().splitlines() == lines
        console.remark(f"no picture in {path} was read", "warning")
        assert stream.getvalue().splitlines()[len(lines) :] == [lines[0].replace("error", "warning"), *lines[1:]]
