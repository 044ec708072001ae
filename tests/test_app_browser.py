"""The page for own pictures and words in a real browser: Debian's Chromium, headless, on loopback."""

import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from datamodules.shapes_scenes import scene
from tests.chromium import CHROMIUM, Tab, opened, until

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
ROOT = Path(__file__).resolve().parent.parent
WORDS, BACKGROUND = "wood, plank; <b>apple</b>", "sky"  # what is typed is text, whatever it holds


class Page(NamedTuple):
    """A page that is served.

    Attributes:
        address: of it.
        process: that serves it.
    """

    address: str
    process: "subprocess.Popen[str]"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """The command in a process of its own."""
    command = [sys.executable, "cli.py", "app", "--no-browser", "--port", "0", "--protocol.size", "96"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            found = re.fullmatch(r"page: (http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)\n", said)
            assert found, said
            yield Page(found[1], process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "photo.png"
    Image.fromarray(scene(12, "test").image[:150]).save(path)
    return path


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def tab(page: Page, downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """The page in a browser, ready for a picture."""
    with opened(page.address, tmp_path_factory.mktemp("profile"), downloads) as tab:
        assert tab.wait("!!document.querySelector('#ct-picture input[type=file]')")
        yield tab


def said(tab: Tab) -> str:
    return str(tab.value("document.querySelector('#ct-said').textContent")).strip()


def test_words_and_a_picture_give_an_answer(
    tab: Tab, picture: Path, downloads: Path, text_cache: Path, tmp_path: Path
) -> None:
    """Upload, words, Segment, names under the mouse, a patch, a mask to take away: all by mouse and keyboard."""
    tab.click("#ct-segment")
    assert tab.wait("document.querySelector('#ct-said').textContent.includes('no picture yet')"), said(tab)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    tab.give("#ct-picture input[type=file]", tmp_path / "broken.png")
    assert tab.wait("!!document.querySelector('#ct-picture img')")
    tab.click("#ct-segment")
    assert tab.wait("document.querySelector('#ct-said').textContent.includes('broken.png cannot be read')"), said(tab)
    tab.click("#ct-picture button[aria-label='Remove Image']")
    assert tab.wait("!!document.querySelector('#ct-picture input[type=file]')")
    tab.give("#ct-picture input[type=file]", picture)
    assert tab.wait("!!document.querySelector('#ct-picture img')")
    tab.type("#ct-words textarea", "wood")
    tab.click("#ct-segment")
    assert tab.wait("document.querySelector('#ct-said').textContent.includes('one class and no background')"), said(tab)
    tab.type("#ct-words textarea", WORDS)
    tab.type("#ct-background :is(input, textarea)", BACKGROUND)
    tab.click("#ct-segment")
    assert tab.wait("document.querySelectorAll('.ct-map').length == 1"), said(tab)
    assert tab.wait("document.querySelector('#ct-said').textContent.includes('photo.png, 224 x 150 pixels')"), said(tab)

    protocol = get_protocol("photos", size=96, eps=0.5, min_samples=3)
    expected = Segmenter.from_pretrained("embedded", protocol=protocol).segment(picture, WORDS, BACKGROUND)
    share = f"wood: {100 * expected.shares['wood']:.1f} % of the picture"
    places = np.argwhere(expected.labels == 0)
    row, column = places[len(places) // 2].tolist()
    tab.move(".ct-map", (column + 0.5) / 224, (row + 0.5) / 150)
    assert tab.wait(f"document.querySelector('.ct-read').textContent == '{share}'"), tab.value(
        "document.querySelector('.ct-read').textContent"
    )

    assert "<b>apple</b>" in tab.value("document.querySelector('.ct-legend-table').textContent")

    tab.click(".ct-map", 0.99, 0.01)
    assert tab.wait("document.querySelectorAll('.ct-patch img').length == 3")
    assert "Patch 0,8" in tab.value("document.querySelector('#ct-patch').textContent")  # 9 patches of 16 in a row

    tab.value("document.querySelector('.ct-map').focus()")
    for key, code in (("ArrowDown", 40), ("Enter", 13)):
        tab.ask("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, windowsVirtualKeyCode=code)
    assert tab.wait("document.querySelector('#ct-patch').textContent.includes('Patch 1,8')")

    tab.click("#ct-mask")
    mask = downloads / "photo_cliptrase.png"
    assert until(mask.is_file)
    with Image.open(mask) as shown:
        assert shown.mode == "P"
        assert np.array_equal(np.array(shown), expected.labels)
    assert tab.complaints == []


def test_the_strength_of_the_colours_computes_nothing(tab: Tab) -> None:
    before = len([url for url in tab.requests if "queue/join" in url])
    tab.value(
        """(() => { const slider = document.querySelector('#ct-strength input[type=range]'); slider.value = 0.25;
        slider.dispatchEvent(new Event('input', {bubbles: true})); })()"""
    )
    assert tab.wait("getComputedStyle(document.querySelector('.ct-map')).opacity == 0.25")
    assert len([url for url in tab.requests if "queue/join" in url]) == before


def test_an_example_beside_another_method(tab: Tab) -> None:
    tab.type("#ct-second input", "vanilla")
    tab.ask("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13)
    tab.click("#ct-examples .grid-container button")
    assert tab.wait("document.querySelectorAll('.ct-map').length == 2"), said(tab)
    assert tab.wait("document.querySelector('#ct-said').textContent.includes('by cliptrase and vanilla')"), said(tab)
    assert tab.value("document.querySelector('#ct-words textarea').value") == "wood; apple; strawberry"
    assert tab.value("document.querySelectorAll('.ct-legend-table th').length") == 4


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_fits_and_follows_light_and_dark(tab: Tab, width: int, dark: bool) -> None:
    if tab.value("!document.querySelector('#ct-lines .cm-content')"):
        tab.click("#ct-python button")
    assert tab.wait("document.querySelector('#ct-lines .cm-content')?.innerText.includes('from_pretrained')")
    tab.resize((width, 900), dark)
    assert tab.wait(f"innerWidth == {width} && document.documentElement.scrollWidth <= {width}")
    shown = tab.screenshot((width, 900), dark)
    assert (shown[2, 2].max() < 60) if dark else (shown[2, 2].min() > 240)
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 200


def test_nothing_is_asked_of_another_place(page: Page, tab: Tab) -> None:
    """The browser's own requests, and what pages, styles and headers would make it ask."""
    outside = [url for url in tab.requests if not url.startswith((page.address, "data:", "blob:"))]
    assert outside == []
    assert len(tab.requests) > 20
    for path in ("", "theme.css", *re.findall(r'(?:src|href)="\./(assets/[^"]+\.css)"', text(page.address))):
        found = set(re.findall(r"https?://[^\"'\s<>\\)]*", text(page.address + path)))
        assert {url for url in found if not url.startswith((page.address[:-1], "http://www.w3.org"))} == set(), path
    with urllib.request.urlopen(page.address) as answer:
        assert "connect-src 'self'" in answer.headers["content-security-policy"]
    assert [word for word in ("fonts.googleapis", "gstatic", "cdnjs") if word in text(page.address)] == []


def test_ctrl_c_ends_it_whatever_is_shown_and_computed(page: Page, tab: Tab, tmp_path: Path) -> None:
    """The last test: a browser waits for an answer that takes long."""
    Image.fromarray(scene(12, "test", 512).image).resize((3000, 3000)).save(tmp_path / "large.png")
    tab.click("#ct-picture button[aria-label='Remove Image']")
    assert tab.wait("!!document.querySelector('#ct-picture input[type=file]')")
    tab.give("#ct-picture input[type=file]", tmp_path / "large.png")
    assert tab.wait("!!document.querySelector('#ct-picture img')")
    before = len([url for url in tab.requests if "queue/join" in url])
    tab.click("#ct-segment")
    assert until(lambda: tab.value("1") and len([url for url in tab.requests if "queue/join" in url]) > before)
    page.process.send_signal(signal.SIGINT)
    said, told = page.process.communicate(timeout=60)
    assert (page.process.returncode, said, told) == (130, "", "error: interrupted\n")


def text(address: str) -> str:
    with urllib.request.urlopen(address) as answer:
        return str(answer.read().decode())
