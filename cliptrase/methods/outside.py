"""Methods of what stands in a user's own file or module."""

import functools
import inspect
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from cliptrase.common.errors import InputError
from cliptrase.methods.record import Method

if TYPE_CHECKING:
    from cliptrase.clip.trunk import Reading


def outside_method(place: str, value: Any) -> Method:
    """A method of what stands in a user's file or module."""
    if isinstance(value, Method):
        return value
    name = place.rpartition(":")[2].rpartition(".")[2]
    if _is_reading(value):
        return Method(name, place, value)
    if not callable(value) or isinstance(value, type) or not _takes_one(value):
        raise InputError(
            f"method {place!r} is no method but {value!r:.80}; it must be a Method, a Reading, or an attention rule, "
            "a function of Projections"
        )
    return Method(name, place, _rule_reading(value))


def _rule_reading(rule: Callable[..., Any]) -> "Reading":
    """One reading for one rule, so that a rule named twice is one method."""
    return _last_block(rule) if isinstance(rule, Hashable) else _last_block.__wrapped__(rule)


@functools.cache
def _last_block(rule: Callable[..., Any]) -> "Reading":
    from cliptrase.readings import last_block

    return last_block(rule)


def _is_reading(value: Any) -> bool:
    from cliptrase.clip.trunk import Reading

    return isinstance(value, Reading)


def is_candidate(value: Any) -> bool:
    """Whether a module's object may be meant as a method: not what it only imports to make one."""
    if isinstance(value, Method) or _is_reading(value):
        return True
    return inspect.isfunction(value) and not value.__module__.startswith("cliptrase.") and _takes_one(value)


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # of a function without a signature
        pass
    return True
