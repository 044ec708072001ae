"""The studies that options of `test` ask for, with the lists that come with cliptrase."""

from collections.abc import Sequence

from jsonargparse import Namespace

from cliptrase.common.errors import InputError
from cliptrase.methods import Method, get_method
from cliptrase.methods.parts import parts_off
from cliptrase.studies.audit import Audit
from cliptrase.studies.base import Study
from cliptrase.studies.boundary import BoundaryIoU
from cliptrase.studies.budget import ErrorBudget
from cliptrase.studies.names import NamingStress
from cliptrase.studies.sweep import Sweep
from datamodules.spec import shipped_names, shipped_synonyms


def asked_studies(command: str, config: Namespace) -> list[Study]:
    """What is asked for beside the scores.

    Args:
        command: `test` or `predict`.
        config: its options.

    Raises:
        InputError: it is asked of `predict`, which has no truth.
    """
    if config.check and command == "predict":
        raise InputError(f"--check {config.check} needs label maps to score; it goes with 'test'")
    asked: dict[str, list[Study]] = {}
    if config.explain:
        asked["--explain"] = [ErrorBudget(config.protocol), BoundaryIoU()]
    if config.audit:
        asked["--audit"] = [Audit()]
    if config.stress:
        asked[f"--stress {config.stress}"] = [naming_stress()]
    if config.sweep:
        asked["--sweep"] = [Sweep(config.protocol)]
    if asked and command == "predict":
        raise InputError(f"{next(iter(asked))} needs label maps to score; it goes with 'test'")
    return [study for studies in asked.values() for study in studies]


def with_parts_off(method: str, compare: Sequence[str | Method]) -> list[str]:
    """Further methods of an audit: those asked for, and each without each of its parts.

    Raises:
        InputError: a method that there is not, or none has a part.
    """
    asked = [method, *map(str, compare)]
    without = [other for spec in asked for other in parts_off(spec, get_method(spec)).values()]
    if not without:
        raise InputError(
            f"--audit leaves out parts of methods, and there are none in {', '.join(asked)}; take a method with "
            "regions or parts of its own, such as cliptrase or resclip"
        )
    return list(dict.fromkeys([*asked[1:], *without]))


def naming_stress() -> NamingStress:
    """The study of names. Our synonyms come before ADE20K's names that have some."""
    synonyms = [*shipped_synonyms("synonyms"), *(group for group in shipped_synonyms("ade847") if len(group) > 1)]
    things = shipped_names("coco_stuff171")[:80]  # "wall-brick" and the like are parts of what others name
    others = dict.fromkeys((*shipped_names("ade847"), *shipped_names("context459"), *things))
    return NamingStress(synonyms, tuple(others))
