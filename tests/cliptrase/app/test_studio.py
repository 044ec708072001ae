"""Answers are the segmenter's own; a picture is encoded once; what cannot be answered is a sentence."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cliptrase.app import limits
from cliptrase.app.cache import Cache
from cliptrase.app.limits import Deadline
from cliptrase.app.studio import Answer, Studio
from cliptrase.app.worker import Worker
from cliptrase.common.errors import InputError
from cliptrase.methods import METHODS
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from tests.cliptrase.app.conftest import BACKGROUND, WORDS


@pytest.mark.parametrize("method", ["cliptrase", "vanilla", "resclip", "naclip+pamr"])
def test_labels_are_those_of_segment(studio: Studio, picture: Path, method: str) -> None:
    for threshold in (None, "auto", 0.5):
        answer = studio.segment(studio.read(picture), WORDS, BACKGROUND, [method], threshold)
        expected = studio.segmenter(method).segment(picture, WORDS, BACKGROUND, threshold)
        assert np.array_equal(answer.maps[method], expected.labels)
        assert answer.vocabulary.label_names == expected.names


def test_windows_too(studio: Studio, picture: Path) -> None:
    windowed = Studio(studio.clip, get_protocol("sclip", size=96, window=64, stride=32))
    answer = windowed.segment(windowed.read(picture), WORDS, BACKGROUND, ["naclip"], "auto")
    expected = windowed.segmenter("naclip").segment(picture, WORDS, BACKGROUND, "auto")
    assert np.array_equal(answer.maps["naclip"], expected.labels)
    own = Studio(studio.clip, get_protocol("tiles", size="own"))
    rows, columns = own.patches(own.read(picture)).grid  # seen whole, at the size that the tower was made for
    assert (rows, columns) == (14, 19)
    assert tuple(np.ceil(1 / np.array(own.cell(own.read(picture))) - 1e-9)) == (rows, columns)


@pytest.mark.parametrize(("method", "times"), [("cliptrase", 1), ("resclip", 2)])
def test_a_picture_is_encoded_once_for_all_words(
    studio: Studio, picture: Path, method: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for a method that reads the names."""
    calls = []
    encode = Segmenter.encode

    def counted(self: Segmenter, *args: object, **options: object) -> object:
        calls.append(1)
        return encode(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Segmenter, "encode", counted)
    own = Studio(studio.clip, studio.protocol)
    shown = own.read(picture)
    first, second, again = (
        own.segment(shown, words, "", [method]) for words in ("wood; sky", "sky; wood", "wood; sky")
    )
    assert len(calls) == times
    assert np.array_equal(first.maps[method], again.maps[method])
    assert not np.array_equal(first.maps[method], second.maps[method])


def test_methods_that_need_what_is_not_there_are_left_out(studio: Studio) -> None:
    assert set(METHODS) - set(studio.methods) == {"proxyclip"}
    with pytest.raises(InputError, match="reads a guest tower's features"):
        studio.segmenter("proxyclip")


def test_one_method_named_twice_counts_once(studio: Studio, picture: Path) -> None:
    assert list(studio.segment(studio.read(picture), WORDS, "", ["vanilla", "vanilla"]).maps) == ["vanilla"]


def test_cells_are_those_of_the_analysis(studio: Studio, answer: Answer) -> None:
    rows, columns = studio.patches(answer.shown).grid
    assert tuple(np.ceil(1 / np.array(studio.cell(answer.shown)) - 1e-9)) == (rows, columns)
    assert len(studio.patches(answer.shown).chosen) == rows * columns


def broken(path: Path) -> None:
    path.write_bytes(b"no picture at all")


def cut(path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(path)
    path.write_bytes(path.read_bytes()[:60])


def large(path: Path) -> None:
    Image.new("L", (4097, 4096)).save(path)


@pytest.mark.parametrize(
    ("make", "says"),
    [(broken, "upload.png"), (cut, "upload.png"), (large, "4097 x 4096 pixels, and this page takes 16.8 million")],
)
def test_pictures_that_cannot_be_shown(studio: Studio, make: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    """Named as their owner knows them: the page keeps them in a folder of its own."""
    make(tmp_path / "upload.png")
    with pytest.raises(InputError, match=says) as raised:
        studio.read(tmp_path / "upload.png")
    assert str(tmp_path) not in str(raised.value)


def test_no_picture(studio: Studio) -> None:
    with pytest.raises(InputError, match="no picture yet"):
        studio.read(None)


def test_a_protocol_that_crops(studio: Studio) -> None:
    with pytest.raises(InputError, match="`protocol` 'paper' crops"):
        Studio(studio.clip, get_protocol("paper"))


def test_time_is_up(studio: Studio, picture: Path) -> None:
    slow = Studio(studio.clip, studio.protocol, seconds=-1)
    with pytest.raises(InputError, match="more than -1 seconds"):
        slow.segment(slow.read(picture), WORDS, "", ["cliptrase"])


def test_a_deadline_looks_at_the_clock_within_a_computation() -> None:
    now, done = iter(range(100)), []

    def compute() -> None:
        with Deadline(5, lambda: next(now)):
            for step in range(50):
                torch.ones(2).sum()
                done.append(step)

    with pytest.raises(InputError, match="more than 5 seconds"):
        compute()
    assert 0 < len(done) < 5
    assert torch.ones(2).sum() == 2  # and only within


def test_answers_are_given_up_where_the_page_ends(studio: Studio, picture: Path) -> None:
    worker = Worker()
    own = Studio(studio.clip, studio.protocol, stopping=worker.stopping)
    begun, ended = threading.Event(), []

    def work() -> None:
        begun.set()
        worker.stopping.wait(30)
        with pytest.raises(InputError, match="the page ends"):
            own.segment(own.read(picture), WORDS, "", ["vanilla"])
        ended.append(threading.current_thread().name)

    asking = threading.Thread(target=lambda: worker.run(work))
    asking.start()
    assert begun.wait(30)
    worker.stop()  # and waits for it
    assert [name.partition("_")[0] for name in ended] == ["answers"]
    asking.join()
    late = threading.Thread(target=lambda: worker.run(lambda: ended.append("late")), daemon=True)
    late.start()
    late.join(0.2)
    assert late.is_alive()
    assert "late" not in ended


def test_the_newest_values_are_kept() -> None:
    cache: Cache[str] = Cache(10)
    made: list[str] = []

    def value(key: str, weight: float) -> str:
        return cache.get(key, lambda: made.append(key) or key, weight)

    value("a", 4), value("b", 4), value("a", 4), value("c", 4), value("a", 4)
    assert made == ["a", "b", "c"]  # b went: a was used after it
    value("b", 4)
    assert made[-1] == "b"
    value("huge", 99)
    assert value("huge", 99) == "huge"
    assert made.count("huge") == len(cache) == 1


def test_a_failed_value_is_not_kept() -> None:
    cache: Cache[int] = Cache(10)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 // 0)
    assert cache.get("a", lambda: 2) == 2


def test_the_limit_is_where_tiles_begin() -> None:
    from cliptrase.common.resizing import is_large

    side = int(limits.PIXELS**0.5)
    assert not is_large((side, side))
    assert is_large((side, side + 1))
