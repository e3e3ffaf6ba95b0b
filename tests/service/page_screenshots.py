"""The pictures of the page in the documentation, taken of the page as it is now.

    python -m tests.service.page_screenshots

Only pictures that may be published are shown: NASA's portrait (public domain) and the mouse (MIT License).
"""

import io
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import Browser

from tests.server_process import serving
from tests.service.page_in_browser import chromium, opened

REPOSITORY: Final = Path(__file__).parents[2]
FOLDER: Final = REPOSITORY / "docs" / "images"
MOST_BYTES: Final = 250_000

DESK: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 860}}
TELEPHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2,
}  # fmt: skip
SHOTS: Final[dict[str, dict[str, Any]]] = {
    "page-light": {"example": "face68", "color_scheme": "light", **DESK},
    "page-dark": {"example": "mouse17", "color_scheme": "dark", **DESK},
    "page-telephone": {"example": "face68", "color_scheme": "light", **TELEPHONE},
}


def take(browser: Browser, url: str, name: str, example: str, **context: Any) -> Path:
    """One screenshot, with few enough colours to stay small."""
    with opened(browser, url, reduced_motion="reduce", **context) as page:
        page.page.click(f"[data-example={example}]")
        page.wait_for_answer()
        png = page.page.screenshot()
    path = FOLDER / f"{name}.png"
    with_palette(Image.open(io.BytesIO(png)).convert("RGB")).save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES, path
    return path


def with_palette(picture: Image.Image) -> Image.Image:
    """The picture in 256 colours: the most frequent as they are, some for what is small, most for what is large."""
    counted = sorted(picture.getcolors(picture.width * picture.height) or [], reverse=True)
    colours = [number for _, colour in counted[:24] for number in _three(colour)]
    for count, method in ((72, Image.Quantize.MAXCOVERAGE), (160, Image.Quantize.MEDIANCUT)):
        colours += (picture.quantize(count, method).getpalette() or [])[: 3 * count]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours)
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def _three(colour: object) -> tuple[int, ...]:
    assert isinstance(colour, tuple)
    return colour


def write() -> None:
    """Take all of them anew."""
    with chromium() as browser, serving(REPOSITORY / "models") as server:
        take(browser, server.url, "page-light", **SHOTS["page-light"])  # the first answers of a server take longer
        for name, shot in SHOTS.items():
            take(browser, server.url, name, **shot)


if __name__ == "__main__":
    write()
