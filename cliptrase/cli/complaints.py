"""Errors and warnings in one sentence."""

import errno
import logging
import os
import re
import threading
import warnings

import cv2
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException

from cliptrase.cli import early
from cliptrase.common.console import in_lines
from cliptrase.common.errors import InputError, one_line, with_options

# Lines in which jsonargparse tells of its own types, not of the user's input.
_ABOUT_TYPES = (
    "Given value type",
    "Subtypes:",
    "Errors:",
    "- Expected a <class 'NoneType'>",
    "Does not validate",
    "- Does not",
)
_NO_MEMORY = re.compile(r"not enough memory|can't allocate memory|out of memory|Insufficient memory|bad_alloc", re.I)
_NO_SHARED_MEMORY = re.compile(r"shared memory|Bus error|unable to (write to|open|mmap) .*torch_", re.I)
_WORKER_KILLED = re.compile(r"DataLoader worker \(pid.*(killed by signal|exited unexpectedly)")
_PEER_GONE = re.compile(r"gloo|NCCL|Connection (closed|reset) by peer|Broken pipe|TCPStore|Socket Timeout", re.I)
# Modules whose files only decorate a run, and what a user calls them.
_WRITERS = {
    "tensorboard.": "TensorBoard",
    "torch.utils.tensorboard.": "TensorBoard",
    "pytorch_lightning.loggers.": "the logger",
    "lightning_fabric.loggers.": "the logger",
}
_OF_LOGGER = re.compile(r'Parser key "trainer\.logger"|pytorch_lightning\.loggers\.')


def mendable(error: BaseException) -> str:
    """The sentence of the user's error that led to `error`, or nothing where there is none.

    Only what was raised on purpose `from` such an error counts, as jsonargparse does while it makes objects: what
    merely happens while one is handled is a fault of the code.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError):
            return one_line(cause, 10_000)
        cause = cause.__cause__
    return ""


def from_machine(error: BaseException) -> str:
    """What the machine lacks, where that led to `error`, else nothing: memory, a data worker, room for files."""
    text = one_line(error, 10_000)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError | torch.OutOfMemoryError) or (
            isinstance(cause, RuntimeError | cv2.error) and _NO_MEMORY.search(str(cause))
        ):
            return (
                "there is not enough memory: give a smaller --data.batch_size, fewer --data.num_workers or a smaller "
                f"--protocol.size ({one_line(_last_line(cause))})"
            )
        if isinstance(cause, MisconfigurationException):  # Lightning's word for options that cannot be
            return f"--trainer options cannot be used here ({one_line(str(cause)).rstrip('.')})"
        if isinstance(cause, OSError) and (writer := _lightning_writes(cause)):
            return (
                f"{writer} cannot write its files ({cause.strerror or cause}); make room, or leave it out by "
                "--trainer.logger false; what was written before is kept"
            )
        if isinstance(cause, Exception) and _lightning_writes(cause) == "the logger":  # libraries raise what they like
            reason = one_line(_last_line(cause)).rstrip(".")
            return f"the logger cannot be used ({reason}); mend that, or leave it out by --trainer.logger false"
        cause = cause.__cause__
    if _NO_SHARED_MEMORY.search(text):
        return (
            "the data workers have not enough shared memory (/dev/shm); give fewer --data.num_workers, 0 for none, a "
            "smaller --data.batch_size, or a container more of it (docker run --shm-size)"
        )
    if isinstance(error, RuntimeError) and _WORKER_KILLED.search(text):
        return (
            "a data worker was killed, perhaps for want of memory; give fewer --data.num_workers, 0 for none, or a "
            "smaller --data.batch_size"
        )
    if (isinstance(error, OSError) and error.errno == errno.EMFILE) or "received 0 items of ancdata" in text:
        return "too many files are open; give fewer --data.num_workers, or raise the limit (ulimit -n)"
    return ""


def of_other_processes(error: BaseException) -> bool:
    """Whether another process of the run is gone, as those who wait for it learn."""
    return isinstance(error, torch.distributed.DistError) or (
        isinstance(error, RuntimeError) and _PEER_GONE.search(str(error)) is not None
    )


def refused_by_parser(error: BaseException) -> bool:
    """Whether jsonargparse itself says that an object cannot be made as asked, a logger without its library say."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    raised_in = frame.tb_frame.f_globals.get("__name__", "") if frame else ""
    return isinstance(error, ValueError) and raised_in.startswith("jsonargparse.")


def _last_line(error: BaseException) -> str:
    """What an error says; of one from a data worker, whose text is a traceback, the line that matters."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1] if "Traceback" in str(error) else lines[0]


def _lightning_writes(error: BaseException) -> str:
    """Which of Lightning's writers an error came from, if one."""
    found, frame = "", error.__traceback__
    while frame is not None:
        module = frame.tb_frame.f_globals.get("__name__", "")
        found = next((writer for start, writer in _WRITERS.items() if module.startswith(start)), found)
        frame = frame.tb_next
    return found


def usage(message: str) -> str:
    """One line of what jsonargparse complains of."""
    text = re.search(r'Parser key "(words|background|classes|ignore)":.*?Given value: ([^\n]*)', message, re.DOTALL)
    if text:
        return (
            f"{text[1]} of the configuration, {text[2]}, is not text: YAML takes on, off, yes, no and numbers for "
            f"something else, so put quotation marks around them, as in {text[1]}: ['on', '1']"
        )
    if table := re.search(r'Parser key "colors":.*?Given value: ([^\n]*)', message, re.DOTALL):
        return f"--data.colors {table[1]} is no table; give a file, or names and colours like '{{cat: [255, 0, 0]}}'"
    if _OF_LOGGER.search(message):
        return _of_logger(message)
    lines = [line.strip() for line in message.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(_ABOUT_TYPES))


def _of_logger(message: str) -> str:
    """What is wrong with a logger that was asked for, without the types that the parser tried and all its options."""
    kind = re.search(r"class_path='?[\w.]*?(\w+Logger)|class_path '[\w.]*?(\w+Logger)'", message)
    name = f" {kind[1] or kind[2]}" if kind else ""
    if "are required: save_dir" in message:
        return f"--trainer.logger{name} needs a folder: give --trainer.logger.save_dir DIR"
    if unknown := re.search(r"Expected a dot import path string: (\S+)", message):
        known = "CSVLogger, TensorBoardLogger, WandbLogger and MLFlowLogger"
        return f"--trainer.logger {unknown[1]} is no logger of Lightning; {known} are such"
    told = re.split(r"-?\s*Expected a <class|Given value", message.rpartition("Errors:")[2])[0]
    told = re.sub(r"Parser key \S+|- Problem with given class_path '[^']*':", " ", told).strip(" \n:-")
    told = re.sub(r"^(.+?)\s+\1$", r"\1", told)  # one refusal of each form that was tried
    return f"--trainer.logger{name} cannot be used: {one_line(told, 1_000)}"


def quiet_libraries() -> None:
    """Keeps the log lines and hints of libraries out of the way of the run's own output."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # Lightning's calls, not ours
    for name in ("pytorch_lightning", "lightning_fabric", "torch.distributed", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter is intended")
    warnings.formatwarning = _one_line
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _thread_failed


def _one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning to the user is its sentence; where in the code it arose matters for the others only."""
    if category is UserWarning:
        return in_lines(f"warning: {with_options(str(message), early.options_by_parameter())}") + "\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """TensorBoard's writing thread hands its error to the main thread, which then tells it."""
    if not (isinstance(failed.exc_value, OSError) and type(failed.thread).__module__.startswith("tensorboard.")):
        threading.__excepthook__(failed)
