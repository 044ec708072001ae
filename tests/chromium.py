"""Debian's Chromium, headless, asked over its pipe: messages are JSON that ends with a zero byte."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


class Tab:
    """One page of a browser.

    Attributes:
        requests: addresses that the page asked for since it was opened.
        complaints: what its scripts said to the console as errors, or threw.
    """

    def __init__(self, out: IO[bytes], into: IO[bytes]) -> None:
        self._out, self._into, self._number, self._session = out, into, 0, ""
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a command of the DevTools protocol; events that come before it are noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(b"".join(iter(lambda: self._into.read(1), b"\0")))
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer.get("method", ""), answer.get("params", {}))

    def _note(self, event: str, params: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.complaints.append(str([one.get("value", one.get("description")) for one in params["args"]]))
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.complaints.append(str(params["entry"]))

    def open(self, url: str) -> None:
        """Shows another page; parts of it may still load afterwards."""
        self.ask("Page.navigate", url=url)
        for _ in range(300):
            try:
                if self.value("document.body !== null && location.href !== 'about:blank'"):
                    return
            except AssertionError:  # between two pages there is none to ask
                pass
            time.sleep(0.1)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is, waited for where it is a promise."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, (expression, found)
        return found["result"].get("value")

    def wait(self, expression: str, seconds: float = 60) -> Any:
        """The value of an expression as soon as it is true; the last one when time is up."""
        end = time.monotonic() + seconds
        while not (found := self.value(expression)) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def centre(self, selector: str, x: float = 0.5, y: float = 0.5, seconds: float = 30) -> tuple[float, float]:
        """A point of an element, scrolled to, once it stands still: shares of its width and height."""
        found = (
            f"(() => {{ const found = document.querySelector({json.dumps(selector)}); if (!found) return null; "
            "found.scrollIntoView({block: 'center', behavior: 'instant'}); const box = found.getBoundingClientRect(); "
            f"const point = [box.left + {x} * box.width, box.top + {y} * box.height]; "
            "const above = document.elementFromPoint(...point); return found.contains(above) ? point : null; })()"
        )
        end, point = time.monotonic() + seconds, None
        while time.monotonic() < end:
            before, point = point, self.value(found)
            if point is not None and point == before:
                return float(point[0]), float(point[1])
            time.sleep(0.1)
        raise AssertionError(f"{selector} is not there, or does not stand still, or lies under something")

    def move(self, selector: str, x: float = 0.5, y: float = 0.5) -> tuple[float, float]:
        """Brings the mouse to a point of an element; see `centre`."""
        left, top = self.centre(selector, x, y)
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=left, y=top)
        return left, top

    def click(self, selector: str, x: float = 0.5, y: float = 0.5) -> None:
        """Clicks a point of an element; see `centre`."""
        left, top = self.move(selector, x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=left, y=top, button="left", clickCount=1)

    def type(self, selector: str, text: str) -> None:
        """Puts text in place of what a field holds, by the keyboard."""
        self.click(selector)
        self.value(f"document.querySelector({json.dumps(selector)}).select()")
        self.ask("Input.insertText" if text else "Input.dispatchKeyEvent", **({"text": text} if text else _DELETE))

    def give(self, selector: str, file: Path) -> None:
        """Chooses a file in a field for files."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def screenshot(self, size: tuple[int, int], dark: bool = False) -> np.ndarray[Any, Any]:
        """(H, W, 3) uint8 of the whole page in a window of (width, height)."""
        self.resize(size, dark)
        content = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size[0], "height": max(size[1], content["height"]), "scale": 1}
        shown = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        with Image.open(BytesIO(base64.b64decode(shown))) as picture:
            return np.array(picture.convert("RGB"))

    def resize(self, size: tuple[int, int], dark: bool = False) -> None:
        """Gives the window (width, height), and light or dark as what its user prefers."""
        self.ask("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
        preferred = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setEmulatedMedia", features=preferred)


_DELETE = {"type": "keyDown", "key": "Delete", "code": "Delete", "windowsVirtualKeyCode": 46}


@contextmanager
def opened(url: str, profile: Path, downloads: Path | None = None) -> Iterator[Tab]:
    """A page in a browser of its own.

    Args:
        url: of the page.
        profile: a folder for the browser.
        downloads: where files go that the page gives; None refuses them.
    """
    reads, sends = os.pipe()
    receives, answers = os.pipe()
    command = ["bash", "-c", f'exec "$@" 3<&{reads} 4>&{answers}', "bash", CHROMIUM or "", *OPTIONS]
    command += [f"--user-data-dir={profile}", "--window-size=1400,1400", "--remote-debugging-pipe"]
    with (
        subprocess.Popen(command, pass_fds=(reads, answers), stderr=subprocess.DEVNULL) as browser,
        os.fdopen(sends, "wb", buffering=0) as out,
        os.fdopen(receives, "rb") as into,
    ):
        os.close(reads)
        os.close(answers)
        try:
            tab = Tab(out, into)
            if downloads is not None:
                tab.ask("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
            target = tab.ask("Target.createTarget", url="about:blank")["targetId"]
            tab._session = tab.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime", "Log", "DOM"):
                tab.ask(f"{domain}.enable")
            tab.open(url)
            yield tab
        finally:
            browser.terminate()


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What a condition gives as soon as it is true; its last value when time is up."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return found
