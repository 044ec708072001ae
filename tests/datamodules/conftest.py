"""Data sets that a test makes known are forgotten after it."""

from collections.abc import Iterator

import pytest

from datamodules import specs


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    known = dict(specs._registry)
    yield
    specs._registry.clear()
    specs._registry.update(known)
