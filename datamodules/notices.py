"""Sentences for people while data are read: each comes from one process only."""

import os
import warnings

from cliptrase.common.console import remark

# Where launchers write which process of several this is, as Lightning reads them.
_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")


def is_first_process() -> bool:
    """Whether this is the first process of a run, or the only one."""
    ranks = (os.environ.get(name) for name in _RANKS)
    return next((rank for rank in ranks if rank is not None), "0") == "0"


def note(sentence: str) -> None:
    """Tells people something that is no fault, beside the warnings."""
    if is_first_process():
        remark(sentence)


def warn(sentence: str) -> None:
    """Warns of something that may be a fault."""
    if is_first_process():
        warnings.warn(sentence, stacklevel=2)
