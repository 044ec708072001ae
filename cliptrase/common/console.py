"""What a program owes its terminal and the system: streams that may close, signals, complaints in one sentence.

`cliptrase` and `datamodules` share it; it knows nothing of either and loads the standard library only.
"""

import io
import os
import shutil
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from types import FrameType

# What asks a program to stop. SIGHUP comes where the terminal goes; Windows has none.
STOPS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_PATIENCE = 20.0  # seconds after a signal until the process ends whatever it does

_first: int | None = None  # the signal that asked this process to stop
_replaced: list[io.TextIOWrapper] = []
_own_reason = False  # whether the program itself asked for that
_last_words: Callable[[int], tuple[str, int]]


class Stopped(KeyboardInterrupt):
    """A signal asks the program to stop; libraries treat it as they treat Ctrl-C.

    Args:
        signum: the signal's number.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def run(main: Callable[[], int], prints: bool = False) -> int:
    """Runs a program's `main` under the signals and streams of a process of its own.

    Args:
        main: gives the exit status.
        prints: whether standard output is what was asked for; then it must have been written.

    Returns:
        exit status; 128 and the signal's number where a signal stopped the program, never 0 then.
    """
    _open_closed_streams()
    output = _harden()
    _catch_signals()
    try:
        status = main()
    except KeyboardInterrupt as stop:
        status = stopped(stop)
    except Exception:
        if _first is None or _own_reason:
            raise
        status = stopped(Stopped(_first))  # the interrupt came out as another error
    _let_signals_end_the_process()
    if _first is not None and not _own_reason and status in (0, 1):  # the interrupt was lost, or ended in another error
        if status == 0:
            complain(stop_sentence(_first))
        status = 128 + _first
    sys.stdout.flush()
    if output is not None and output.lost is not None:
        sentence = f"standard output cannot be written ({output.lost.strerror}); give it another place"
        if prints and status == 0:
            return complain(sentence)
        remark(sentence, "warning")
    return status


def complain(sentence: str, status: int = 1) -> int:
    """Prints the sentence and gives the exit status; see `remark`."""
    remark(sentence, "error")
    return status


def remark(sentence: str, kind: str = "note") -> None:
    """Prints `note: ...`, `warning: ...` to standard error, as `in_lines` breaks it."""
    print(in_lines(f"{kind}: {sentence}"), file=sys.stderr)


def in_lines(text: str) -> str:
    """A sentence for standard error: on a terminal lines end between words, and a path stays whole."""
    if not sys.stderr.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def stopped(stop: KeyboardInterrupt, so: str = "") -> int:
    """Says in a sentence that a signal stopped the program, and gives the exit status.

    Args:
        stop: a bare KeyboardInterrupt is Ctrl-C.
        so: what is left, and how to go on.
    """
    signum = stop.signum if isinstance(stop, Stopped) else signal.SIGINT
    return complain(stop_sentence(signum, so), 128 + signum)


def stop_sentence(signum: int, so: str = "") -> str:
    """'interrupted' for Ctrl-C, 'stopped by SIGTERM' for a signal, and what is left."""
    what = "interrupted" if signum == signal.SIGINT else f"stopped by {signal.Signals(signum).name}"
    return f"{what}: {so}" if so else what


def signal_received() -> int | None:
    """The first signal that asked this process to stop, under `run`."""
    return _first


def interrupt_main() -> None:
    """Stops the main thread as a signal would, also where it waits for something, for a reason of the program's own.

    `main` then gives the exit status.
    """
    global _own_reason
    _own_reason = True
    handled = [signum for signum in (signal.SIGTERM, signal.SIGINT) if callable(signal.getsignal(signum))]
    signal.pthread_kill(threading.main_thread().ident or 0, handled[0])


def at_forced_end(last_words: Callable[[int], tuple[str, int]]) -> None:
    """Sets what is said, and the exit status, where the process has to be ended because a stop took too long.

    Args:
        last_words: gets the signal's number; called in a thread.
    """
    global _last_words
    _last_words = last_words


def _catch_signals() -> None:
    global _first, _own_reason
    _first, _own_reason = None, False
    at_forced_end(lambda signum: (stop_sentence(signum), 128 + signum))
    # Python calls handlers between its own instructions only. The bytes come at once, whatever the main thread waits
    # for, such as another process of the run.
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))  # a data worker's signals are its own
    threading.Thread(target=_end_in_time, args=(reading,), daemon=True, name="end in time").start()
    for signum in STOPS:
        # A program under nohup, or one that a shell started in the background, is not to be stopped by these.
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, _handler(os.getpid()))


def _handler(owner: int) -> Callable[[int, FrameType | None], None]:
    def handle(signum: int, frame: FrameType | None) -> None:
        global _first
        if os.getpid() != owner:  # a process that was forked off, such as a data worker
            if signum == signal.SIGINT:
                raise KeyboardInterrupt
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        elif _first is None:  # what follows the first is the same wish, such as Ctrl-C passed on by a parent
            _first = signum
            raise Stopped(signum)

    return handle


def _end_in_time(signals: int) -> None:
    while (signum := os.read(signals, 1)[0]) not in STOPS:
        pass
    time.sleep(_PATIENCE)
    sentence, status = _last_words(signum)
    complain(sentence)
    os._exit(status)


def _let_signals_end_the_process() -> None:
    """At the interpreter's end nothing is left to save, and an exception would only print a traceback."""
    signal.set_wakeup_fd(-1)
    for signum in STOPS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, signal.SIG_DFL if _first is None else signal.SIG_IGN)


class _Output(io.FileIO):
    """A stream's file that takes everything: what nobody reads, or no disk holds, goes nowhere.

    Attributes:
        lost: why something was lost, but for a reader that went away, who wanted no more.
    """

    lost: OSError | None = None

    def write(self, data: object) -> int:
        view = memoryview(data)  # type: ignore[arg-type]  # any buffer
        try:
            written = super().write(view)
        except BrokenPipeError:
            return view.nbytes
        except OSError as error:
            self.lost = error
            return view.nbytes
        return view.nbytes if written is None else written


def _open_closed_streams() -> None:
    """Streams closed by `>&-` lead nowhere; else the next file to be opened would take their place."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 (as long as the process)


def _harden() -> _Output | None:
    """Puts streams in place that neither a closed pipe nor a letter unknown to their encoding can stop.

    Returns:
        the file of standard output, if it is one.
    """
    output = None
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        buffer = getattr(stream, "buffer", None)
        if not isinstance(stream, io.TextIOWrapper) or not isinstance(getattr(buffer, "raw", buffer), io.FileIO):
            continue  # not the process's own
        stream.flush()
        _replaced.append(stream)  # it closes its file where nobody holds it
        file = _Output(stream.fileno(), "wb", closefd=False)
        unbuffered = isinstance(buffer, io.FileIO)  # python -u
        new = io.TextIOWrapper(
            file if unbuffered else io.BufferedWriter(file),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering or name == "stderr",
            write_through=unbuffered,
        )
        setattr(sys, name, new)
        output = file if name == "stdout" else output
    return output
