"""TensorBoard and the report as a browser shows them: Debian's Chromium, headless, on loopback."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.chromium import CHROMIUM, OPTIONS, opened
from tests.command import Run, run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
# TensorBoard's elements keep their text in shadow trees, which --dump-dom leaves out.
SHADOW_TEXT = """(() => {
const texts = node => node.nodeType === 3 ? [node.data] : ["STYLE", "SCRIPT"].includes(node.nodeName) ? [] :
  [...(node.shadowRoot ? node.shadowRoot.childNodes : []), ...node.childNodes].flatMap(texts);
return document.body ? texts(document.body).join(" ") : ""; })()"""


def chromium(url: str, profile: Path, *options: str) -> str:
    """Runs the browser on a page and gives what it prints."""
    command = [CHROMIUM or "", *OPTIONS, "--virtual-time-budget=20000", f"--user-data-dir={profile}", *options, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True).stdout


def dom(url: str, profile: Path, *options: str) -> str:
    return unescape(chromium(url, profile, "--dump-dom", *options))


def text_with(expected: list[str], url: str, profile: Path, seconds: float = 40) -> str:
    """Text of a page, shadow trees included, as soon as all of `expected` is in it; what there is when time is up."""
    with opened(url, profile) as tab:
        end, text = time.monotonic() + seconds, ""
        while not all(part in text for part in expected) and time.monotonic() < end:
            time.sleep(0.5)
            text = str(tab.value(SHADOW_TEXT))
        return text


def screenshot(url: str, profile: Path, size: tuple[int, int], *options: str) -> np.ndarray:
    """(H, W, 3) uint8 of the page."""
    file = profile.with_suffix(".png")
    chromium(url, profile, f"--screenshot={file}", f"--window-size={size[0]},{size[1]}", *options)
    with Image.open(file) as shown:
        return np.array(shown.convert("RGB"))


def colours(shown: np.ndarray) -> int:
    return len(np.unique(shown.reshape(-1, 3), axis=0))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    demo = ["--config", "configs/demo.yaml", "--data", "Shapes", "--data.scenes", "12"]
    return run("test", tmp_path_factory.mktemp("demo") / "out", *demo)


@pytest.fixture(scope="module")
def tensorboard(finished: Run) -> Iterator[str]:
    """Address of a TensorBoard that shows the run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(finished.folder.parent)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--load_fast", "false"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(240):
                try:
                    tags = urllib.request.urlopen(f"{address}/data/plugin/images/tags", timeout=10).read()
                    if b"confusion/Shapes" in tags:
                        break
                except (urllib.error.URLError, OSError):
                    pass
                time.sleep(0.25)
            else:
                pytest.fail("TensorBoard did not show the run's pictures within a minute")
            yield address
        finally:
            server.terminate()


def test_tensorboard_shows_sheets(finished: Run, tensorboard: str, tmp_path: Path) -> None:
    page = text_with(["Shapes/scene_0000"], f"{tensorboard}/#images", tmp_path / "text")
    assert "Shapes/scene_0000" in page
    shown = screenshot(f"{tensorboard}/#images", tmp_path / "images", (1400, 1400))
    assert colours(shown[:, 360:]) > 200  # right of the options stand pictures


def test_tensorboard_shows_the_tables(finished: Run, tensorboard: str, tmp_path: Path) -> None:
    scores = finished.results["settings"]["Shapes"]["scores"]["released"]
    expected = ["scores/text_summary", "predicted as", "Difference to cliptrase"]
    expected += [f"{value:.2f}" for value in scores.values()]
    page = text_with(expected, f"{tensorboard}/#text", tmp_path / "text")  # each table loads by itself
    assert [part for part in expected if part not in page] == []


def test_the_report_renders(finished: Run, tmp_path: Path) -> None:
    address = (finished.folder / "report.html").as_uri()
    page = dom(address, tmp_path / "dom")
    for method in finished.results["methods"].values():
        for value in method["settings"]["Shapes"]["scores"]["released"].values():
            assert f"{value:.2f}" in page
    light = screenshot(address, tmp_path / "light", (1280, 1600))
    dark = screenshot(address, tmp_path / "dark", (1280, 1600), "--blink-settings=preferredColorScheme=0")
    assert light[5, 5].min() > 240
    assert dark[5, 5].max() < 60
    assert min(colours(light), colours(dark)) > 200


def probed(finished: Run, folder: Path, script: str, width: int = 1280) -> str:
    """What a script says that has the report as `page` in a frame."""
    (folder / "report.html").write_text((finished.folder / "report.html").read_text())
    frame = f'<iframe src="report.html" style="width:{width}px;height:900px;border:0"></iframe><p id="found"></p>'
    probe = f"""{frame}<script>
        onload = async () => {{ const page = document.querySelector("iframe").contentDocument;
        const wait = () => new Promise(done => setTimeout(done, 300));
        const say = async () => {{ {script} }};
        document.querySelector("#found").textContent = await say(); }};</script>"""
    (folder / "probe.html").write_text(probe)
    said = dom((folder / "probe.html").as_uri(), folder / "dom", "--allow-file-access-from-files")
    return said.partition('<p id="found">')[2].partition("</p>")[0]


def test_the_report_fits_a_phone(finished: Run, tmp_path: Path) -> None:
    """In a frame of a phone's width nothing but what scrolls by itself is wider than the page, folded parts opened."""
    script = """page.querySelectorAll("details").forEach(one => { one.open = true; });
        page.querySelectorAll("input[type=checkbox]").forEach(one => one.click()); await wait();
        return `${page.documentElement.scrollWidth} of ${page.documentElement.clientWidth}`;"""
    assert probed(finished, tmp_path, script, width=390) == "390 of 390"


def test_a_phone_shows_the_miou_of_every_method(finished: Run, tmp_path: Path) -> None:
    """Of the first table, without scrolling it."""
    script = """const rights = [...page.querySelectorAll("table")[0].querySelectorAll("tbody .headline")].
          map(one => one.getBoundingClientRect().right);
        return `${rights.length} within ${Math.max(...rights) <= 390}`;"""
    assert probed(finished, tmp_path, script, width=390) == "4 within true"


def test_the_report_hands_its_tables_out(finished: Run, tmp_path: Path) -> None:
    """By a button, from a file: the text stands in the page, whatever becomes of the clipboard."""
    script = """const [csv, latex] = page.querySelectorAll(".block button"); const texts = [];
        for (const button of [csv, latex]) { button.click(); await wait();
          texts.push(page.querySelector(".block textarea").value, page.querySelector(".block a").download); }
        return texts.join("|");"""
    csv, csv_name, latex, latex_name = probed(finished, tmp_path, script).split("|")
    heads, first, *_ = csv.splitlines()
    assert heads.startswith("data,method,pictures,released definitions pAcc,")
    entry = finished.results["settings"]["Shapes"]
    low, high = entry["intervals"]["mIoU"]
    scores = [f"{value:.2f}" for value in entry["scores"]["released"].values()]
    assert first.split(",")[:9] == ["Shapes", "cliptrase", "12", *scores, f"{low:.2f}", f"{high:.2f}"]
    assert csv_name.endswith(".csv")
    assert latex_name.endswith(".tex")
    assert f"\\textbf{{{scores[-1]}}} {{\\scriptsize ({low:.2f} to {high:.2f})}}" in latex
    assert "\\toprule" in latex


def test_methods_are_chosen_apart_and_columns_sorted(finished: Run, tmp_path: Path) -> None:
    script = """const panels = () => [...page.querySelector(".panels").querySelectorAll("[data-method]")].
          filter(one => !one.hidden).sort((one, other) => one.style.order - other.style.order).
          map(one => one.dataset.method).join(" ");
        const [left, right] = page.querySelectorAll(".offer select"); const said = [panels()];
        left.value = "maskclip"; left.dispatchEvent(new Event("change")); said.push(panels());
        right.value = "cliptrase"; right.dispatchEvent(new Event("change")); said.push(panels());
        page.querySelector(".offer input").click(); said.push(panels());
        const table = page.querySelector("table.classes"); table.tHead.rows[0].cells[3].click();
        said.push([...table.tBodies[0].rows].map(row => row.cells[3].textContent).join(" "));
        return said.join("|");"""
    first, left, right, every, values = probed(finished, tmp_path, script).split("|")
    assert (first, left, right) == ("cliptrase vanilla", "maskclip vanilla", "maskclip cliptrase")
    assert every == "cliptrase vanilla maskclip cliptrase-regions"
    shown = [float(value) for value in values.split()]
    assert shown == sorted(shown, reverse=True)
    assert len(shown) > 3
