"""A real browser, driven over its own protocol: what a page looks like to it."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

SECONDS = 30
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-port=0",
)

MEASURE = """
(() => {
  const texts = [...document.querySelectorAll('svg.chart')].filter(svg => svg.getClientRects().length).map(svg => {
    const frame = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()]);
    const outside = boxes.filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1
      || box.top < frame.top - 1 || box.bottom > frame.bottom + 1).map(([told]) => told);
    const touching = boxes.flatMap(([told, box], place) => boxes.slice(place + 1).filter(([, other]) =>
      Math.min(box.right, other.right) - Math.max(box.left, other.left) > 1
      && Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top) > 3)
      .map(([next]) => told + ' | ' + next));
    const sizes = [...svg.querySelectorAll('text')].map(text =>
      parseFloat(getComputedStyle(text).fontSize) * frame.width / svg.viewBox.baseVal.width);
    return {title: svg.querySelector('title').textContent, outside, touching, least: Math.min(...sizes)};
  });
  return {wide: document.documentElement.scrollWidth, text: document.body.innerText, charts: texts};
})()
"""


@dataclass(frozen=True)
class Sight:
    """A page as it was seen: its width, its words, its visible charts, what went wrong, what was asked for."""

    wide: int
    text: str
    charts: list[dict[str, Any]]
    errors: list[str]
    requests: list[str]
    picture: bytes


def program() -> str | None:
    """Return the browser of this machine; None when there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextmanager
def browser(path: str) -> Iterator["Browser"]:
    """Run a browser with a profile of its own."""
    with tempfile.TemporaryDirectory(prefix="etf-browser-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [path, *OPTIONS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address(Path(folder)), max_size=None) as connection:
                yield Browser(connection)
        finally:
            process.terminate()
            process.wait(SECONDS)


def _address(folder: Path) -> str:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with_port = folder / "DevToolsActivePort"
        if with_port.exists() and len(lines := with_port.read_text().splitlines()) == 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.02)
    raise TimeoutError("the browser did not start")


class Browser:
    """Opens pages and looks at them."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = count(1)
        self._events: list[dict[str, Any]] = []

    def look(self, file: Path, *, width: int, dark: bool = False) -> Sight:
        """Open a file at this width and return what is seen."""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._events.clear()
        for name in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{name}.enable", session)
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", session, **metrics)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", session, features=[theme])
        self._ask("Page.navigate", session, url=file.resolve().as_uri())
        self._wait_for("Page.loadEventFired")
        seen = self._ask("Runtime.evaluate", session, expression=MEASURE, returnByValue=True)["result"]["value"]
        shot = self._ask("Page.captureScreenshot", session, captureBeyondViewport=True)
        self._ask("Target.closeTarget", targetId=target)
        return Sight(
            wide=seen["wide"],
            text=seen["text"],
            charts=seen["charts"],
            errors=[json.dumps(event) for event in self._events if _is_error(event)],
            requests=[
                event["params"]["request"]["url"]
                for event in self._events
                if event["method"] == "Network.requestWillBeSent"
            ],
            picture=shot["data"].encode(),
        )

    def _ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        self._connection.send(json.dumps(message if session is None else message | {"sessionId": session}))
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _wait_for(self, method: str) -> None:
        while not any(event["method"] == method for event in self._events):
            self._receive()

    def _receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._connection.recv(SECONDS))
        if "method" in answer:
            self._events.append(answer)
        return answer


def _is_error(event: dict[str, Any]) -> bool:
    if event["method"] == "Log.entryAdded":
        level: str = event["params"]["entry"]["level"]
        return level in ("error", "warning")
    if event["method"] == "Runtime.consoleAPICalled":
        kind: str = event["params"]["type"]
        return kind in ("error", "warning", "assert")
    method: str = event["method"]
    return method == "Runtime.exceptionThrown"
