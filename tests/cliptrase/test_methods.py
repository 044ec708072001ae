"""The table of methods and the suffixes that switch the region vote."""

import pytest

from cliptrase import attention
from cliptrase.common.errors import InputError
from cliptrase.methods import METHODS, get_method, get_methods


def test_table() -> None:
    """Only CLIPtrase has regions of its own; the first three are CLIP's own block but for its attention."""
    assert [name for name, method in METHODS.items() if method.regions] == ["cliptrase"]
    assert all(method.name == name and method.source for name, method in METHODS.items())
    rules = {
        "vanilla": attention.query_key,
        "maskclip": attention.value_path,
        "cliptrase": attention.correlative_self_attention,
    }
    for name, rule in rules.items():
        method = METHODS[name]
        read = method.load_reading().read
        assert read.keywords == {"rule": rule, "residual": True, "mlp": True}


@pytest.mark.parametrize(
    ("spec", "name", "regions"),
    [
        ("cliptrase", "cliptrase", True),
        ("cliptrase+regions", "cliptrase", True),
        ("cliptrase-regions", "cliptrase-regions", False),
        ("vanilla", "vanilla", False),
        ("vanilla-regions", "vanilla", False),
        ("vanilla+regions", "vanilla+regions", True),
        ("maskclip+regions", "maskclip+regions", True),
    ],
)
def test_suffixes(spec: str, name: str, regions: bool) -> None:
    """One that changes nothing changes no name, so that equal methods are one column."""
    method = get_method(spec)
    assert (method.name, method.regions) == (name, regions)
    assert method.reading == METHODS[name.split("+")[0].split("-")[0]].reading


@pytest.mark.parametrize("spec", ["clip", "", "+regions", "cliptrase+region", "cliptrase+regions-regions", "CLIPtrase"])
def test_unknown_methods_are_named_with_the_known_ones(spec: str) -> None:
    with pytest.raises(InputError, match="take one of vanilla, maskclip, cliptrase") as error:
        get_method(spec)
    assert repr(spec) in str(error.value)


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("CLIPtrase", "cliptrase"),
        ("nacilp", "naclip"),
        ("cliptrase+region", "cliptrase+regions"),
        ("surgery_clip", ""),
        ("gem ", "gem"),
        ("clip trace-denois", "cliptrase-denoise"),
        ("cliptrase+regions-regions", ""),
        ("", ""),
    ],
)
def test_what_was_meant(spec: str, meant: str) -> None:
    with pytest.raises(InputError) as error:
        get_method(spec)
    assert (f"(did you mean {meant}?)" if meant else f"{spec!r}: take") in str(error.value)


def test_one_name_or_several() -> None:
    assert [method.name for method in get_methods("gem+regions")] == ["gem+regions"]
    assert [method.name for method in get_methods(["gem", "sclip", "gem-regions"])] == ["gem", "sclip"]
    for nothing in ([], ()):
        with pytest.raises(InputError, match="no method is named; take one of vanilla"):
            get_methods(nothing)
    with pytest.raises(InputError, match="methods are names such as 'cliptrase', not "):
        get_methods([None])  # type: ignore[list-item]
