"""The page's callbacks and the server's pure parts: every complaint is a sentence on the page."""

import re
import warnings
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cliptrase.app.address import address_of, bound
from cliptrase.app.script import ModelChoice
from cliptrase.app.studio import Studio
from cliptrase.cli import main
from cliptrase.common.errors import InputError
from tests.command import complaint

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Gradio's libraries on one another
    callbacks = pytest.importorskip("cliptrase.app.callbacks")
    server = pytest.importorskip("cliptrase.app.server")


@pytest.fixture
def calls(studio: Studio, tmp_path: Path) -> Any:
    return callbacks.Callbacks(studio, ModelChoice("embedded"), tmp_path)


def ask(calls: Any, picture: Path | None, words: str | None, background: str | None = "", *rest: Any) -> Any:
    given = None if picture is None else {"path": str(picture), "orig_name": "mine.png"}
    first, second, threshold = rest or ("vanilla", "none", "none")
    return calls.segment(given, words, background, first, second, threshold, 0.5, 0.7)


def sentence(said: str) -> str:
    assert "ct-wrong" in said
    return unescape(re.sub("<[^>]*>", "", said))


BAD = [
    ("", "", "The words '' name no class; write them like 'cat, kitten; dog'."),
    (None, None, "The words '' name no class; write them like 'cat, kitten; dog'."),
    (" ;; ", "", "The words ' ;; ' name no class; write them like 'cat, kitten; dog'."),
    ("wood", "", "The words 'wood' are one class and no background"),
    ("wood; wood", "", "'wood' stands more than once"),
    ("wood; sky", "wood", "'wood' names a class and the background too"),
    ("'wood'; sky", "", "stands in quotation marks"),
    ("wood\u200b; sky", "", "the invisible character U+200B"),
    ("wood; <script>alert(1)</script>;", "", "hold a class without a name"),
    (f"{'wood ' * 400}a; {'wood ' * 400}b", "", "tokens, by which"),
]


@pytest.mark.parametrize(("words", "background", "says"), BAD)
def test_bad_words_are_a_sentence(
    calls: Any, picture: Path, words: str | None, background: str | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said, *others = ask(calls, picture, words, background)
    assert says in sentence(said)
    assert sentence(said).endswith(".")
    assert len(others) == 9  # and the last answer stays
    assert capsys.readouterr().err == ""


def test_a_bad_picture_and_a_bad_method_are_a_sentence(calls: Any, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert sentence(ask(calls, tmp_path / "bad.png", "wood; sky")[0]).startswith("mine.png cannot be read as a picture")
    assert "There is no picture yet" in sentence(ask(calls, None, "wood; sky")[0])
    assert "did you mean cliptrase" in sentence(ask(calls, picture, "wood; sky", "", "cliptrace", "none", "none")[0])


def test_what_nobody_foresaw_is_a_sentence_and_is_told_in_the_terminal(
    calls: Any, picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Studio, "segment", lambda *args: 1 / 0)
    assert "ZeroDivisionError: division by zero" in sentence(ask(calls, picture, "wood; sky")[0])
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setattr(Studio, "segment", lambda *args: [][0] if args else None)
    assert sentence(ask(calls, picture, "wood; sky")[0])


def test_an_answer_and_what_follows_from_it(calls: Any, studio: Studio, picture: Path) -> None:
    said, view, *buttons, legend, lines, patch, state = ask(
        calls, picture, "wood; apple", "sky", "vanilla", "naclip", "auto"
    )
    assert said.startswith('<p role="status">mine.png, 200 x 150 pixels, by vanilla and naclip')
    assert [map_["title"] for map_ in view["maps"]] == ["vanilla", "naclip"]
    assert [button["label"] for button in buttons] == [
        f"{what} of {name}" for what in ("Mask", "Overlay") for name in ("vanilla", "naclip")
    ]
    assert [Path(button["value"]).is_file() for button in (*buttons, legend)] == [True] * 5
    assert "segment('mine.png', 'wood; apple', 'sky', threshold='auto')" in lines
    assert view["labels"][-1]["name"] == "none of these"
    by_number = ask(calls, picture, "wood", "", "vanilla", "none", "number")
    assert "segment('mine.png', 'wood', threshold=0.5)" in by_number[7]
    assert patch == ""
    before = Path(buttons[2]["value"]).read_bytes()
    calls.overlays(state, 0.9)
    assert Path(buttons[2]["value"]).read_bytes() != before
    assert "Patch 1,2" in calls.patch(state, SimpleNamespace(index=[1, 2]))
    assert calls.patch(None, SimpleNamespace(index=[1, 2])) == ""
    calls.segment({"path": str(picture)}, "wood; sky", "", "vanilla", "none", "none", 0.5, 0.7, state)
    assert not Path(legend["value"]).exists()  # files of the answer before
    _, _, mask, no_mask, *_ = ask(calls, picture, "wood; apple")
    assert (mask["label"], no_mask["visible"]) == ("Mask", False)


def test_the_page_says_who_answers(studio: Studio) -> None:
    head = unescape(callbacks.about(studio, ModelChoice("embedded"), ("wood", "sky")))
    assert "the model “embedded”, under the protocol “photos 96" in head
    assert "knows sixteen materials only" in head
    assert head.count("wood") == 1
    assert "materials" not in callbacks.about(studio, ModelChoice("ViT-B-16", "openai"), ())
    assert "weights openai" in callbacks.about(studio, ModelChoice("ViT-B-16", "openai"), ())


def test_ports() -> None:
    with bound("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert address_of(first) == f"http://127.0.0.1:{port}/"
        first.listen()
        with pytest.raises(InputError, match=f"`port` {port} is taken by another program"):
            bound("127.0.0.1", port)
    with pytest.raises(InputError, match="`port` 70000 is no port"):
        bound("127.0.0.1", 70000)
    with pytest.raises(InputError, match=r"`host` 'nowhere\.invalid' is no address of this machine"):
        bound("nowhere.invalid", 0)


def test_without_gradio_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert complaint(capsys, "app") == (said := complaint(capsys, "app", "--port", "0"))
    assert said == "the page needs the package gradio, which is not installed; run: pip install 'cliptrase[app]'"


def test_another_host_is_warned_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(*given: object) -> None:
        raise InputError("enough")

    monkeypatch.setattr("cliptrase.clip.weights.load_clip", stop)
    assert main(["app", "--port", "0", "--host", "0.0.0.0", "--no-browser"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "warning: --host 0.0.0.0 lets everybody who reaches this machine use the page, without a password",
        "error: enough",
    ]
    assert main(["app", "--port", "0", "--no-browser"]) == 1
    assert capsys.readouterr().err == "error: enough\n"


def test_the_folder_goes_with_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "before")
    with server.own_folder() as folder:
        (folder / "a").write_text("a")
    assert not folder.exists()
