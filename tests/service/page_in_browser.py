"""The page in a real browser: the Chromium on PATH, driven by Playwright."""

import base64
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS = 30_000  # on a busy machine
FLAGS = ("--no-proxy-server", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")

_DROP = """([name, type, base64]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name, { type }));
    const target = document.querySelector(".well");
    for (const kind of ["dragover", "drop"]) {
        const event = new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true });
        if (target.dispatchEvent(event)) throw new Error(`${kind}: the browser would open the file`);
    }
}"""

_PASTE = """([name, type, base64]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], name, { type }));
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(NAMES)} is on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS])
        yield browser
        browser.close()


@dataclass
class OpenPage:
    """The page at a server's `/`, and everything that it asked for and complained of."""

    page: Page
    url: str
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def drop(self, name: str, media_type: str, content: bytes) -> None:
        """Drop a file on it."""
        self.page.evaluate(_DROP, [name, media_type, base64.b64encode(content).decode()])

    def paste(self, name: str, media_type: str, content: bytes) -> None:
        """Paste a file into it."""
        self.page.evaluate(_PASTE, [name, media_type, base64.b64encode(content).decode()])

    def wait_for_answer(self) -> dict[str, Any]:
        """Wait until the answer is shown, and read it back from the page."""
        self.wait_for_text("status", "mean score")
        answer: dict[str, Any] = self.page.evaluate("JSON.parse(document.querySelector('#json').textContent)")
        return answer

    def wait_for_text(self, name: str, words: str | re.Pattern[str]) -> None:
        """Wait until an element by its id says this. Not by a function, which would need a laxer policy."""
        expect(self.page.locator(f"#{name}")).to_contain_text(words, timeout=WAIT_MS)

    def canvas(self, name: str) -> NDArray[np.uint8]:
        """The pixels (H, W, 4) of a canvas as blue, green, red, alpha."""
        address = self.page.evaluate("(name) => document.getElementById(name).toDataURL()", name)
        png = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
        return np.asarray(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), np.uint8)

    def text(self, name: str) -> str:
        """The text of an element by its id."""
        return self.page.text_content(f"#{name}") or ""


@contextmanager
def opened(browser: Browser, url: str, expected_statuses: tuple[int, ...] = (), **context: Any) -> Iterator[OpenPage]:
    """The page, opened; at the end nothing may have gone elsewhere, and nothing may stand in the console.

    Args:
        browser: what opens it.
        url: of the server.
        expected_statuses: answers that the test provokes, of which browsers complain.
        context: of the browser, as `color_scheme`.
    """
    with browser.new_context(**context) as opened_context:
        opened_context.set_default_timeout(WAIT_MS)
        opened_page = OpenPage(opened_context.new_page(), url)
        opened_page.page.on("request", lambda request: opened_page.requests.append(request.url))
        opened_page.page.on("console", lambda message: opened_page.complaints.append(message.text))
        opened_page.page.on("pageerror", lambda error: opened_page.complaints.append(str(error)))
        opened_page.page.goto(f"{url}/")
        yield opened_page
        foreign = [request for request in opened_page.requests if not request.startswith((f"{url}/", "blob:", "data:"))]
        assert not foreign
        known = [f"the server responded with a status of {status}" for status in expected_statuses]
        complaints = [text for text in opened_page.complaints if not any(one in text for one in known)]
        assert not complaints


def picture_file(name: str) -> bytes:
    """One of the pictures that may be shown."""
    return (Path(__file__).parents[1] / "pictures" / name).read_bytes()
