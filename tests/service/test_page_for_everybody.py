"""The page on a telephone, in the dark, read aloud, and without a network: what automatic checks can say of it."""

import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser

from tests.fakes import draw_discs, encode
from tests.service.conftest import RunningServer
from tests.service.page_in_browser import OpenPage, chromium, opened

TELEPHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3 (AA)
LEAST_TARGET = 24  # CSS pixels; WCAG 2.2, 2.5.8 (AA)
ROLES = {"button", "textbox", "combobox", "slider", "link", "img", "image", "table", "region", "complementary"}

# What each visible text is written in, and on: the nearest ancestor's ground that is not transparent.
_TEXTS = """() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const text = walker.currentNode.textContent.trim();
        if (!text || !element.checkVisibility() || element.closest("script, symbol")) continue;
        let below = element;
        while (below && /rgba\\(.*, 0\\)|transparent/.test(getComputedStyle(below).backgroundColor)) {
            below = below.parentElement;
        }
        found.push([text, getComputedStyle(element).color, getComputedStyle(below ?? document.body).backgroundColor]);
    }
    return found;
}"""
_SMALL_TARGETS = """(least) => [...document.querySelectorAll("button, a, select, input, summary, [tabindex='0']")]
    .filter((one) => one.checkVisibility() && !one.matches(".skip, .link"))
    .filter((one) => Math.min(one.getBoundingClientRect().width, one.getBoundingClientRect().height) < least)
    .map((one) => one.outerHTML)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


def answer_of_discs(page: OpenPage) -> None:
    page.drop("discs.png", "image/png", encode(draw_discs()))
    page.wait_for_answer()


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two CSS colours (WCAG 2.2, relative luminance)."""
    darker, lighter = sorted(map(_luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    numbers = [float(number) for number in re.findall(r"[\d.]+", colour.removeprefix("color(srgb"))][:3]
    shares = [number if colour.startswith("color(") else number / 255 for number in numbers]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(
    browser: Browser, server: RunningServer, scheme: Literal["light", "dark"]
) -> None:
    with opened(browser, server.url, color_scheme=scheme, reduced_motion="reduce", expected_statuses=(415,)) as page:
        page.drop("nothing.png", "image/png", b"nothing")
        page.page.wait_for_selector("#problem:visible")
        texts = page.page.evaluate(_TEXTS)
        answer_of_discs(page)
        page.page.click("summary")
        page.page.fill("#threshold", "0.9")
        texts += page.page.evaluate(_TEXTS)
        assert page.page.evaluate("document.getAnimations().length") == 0
    assert {"Choose a file", "Drop a picture here", "Scores", "red", "discs 1.2.3: Free to use."} <= {
        text for text, _, _ in texts
    }
    faint = [(text, contrast(*colours)) for text, *colours in texts if contrast(*colours) < LEAST_CONTRAST]
    assert not faint


def test_it_fits_a_telephone(browser: Browser, server: RunningServer) -> None:
    with opened(browser, server.url, **TELEPHONE) as page:
        page.page.wait_for_selector("#model option", state="attached")
        for answered in (False, True):
            if answered:
                answer_of_discs(page)
                page.page.tap("#add-box")
                page.wait_for_text("curl", "boxes=40,30,80,60")
                page.page.tap("summary")
            assert page.page.evaluate("document.documentElement.scrollWidth") == 360
            assert page.page.evaluate(_SMALL_TARGETS, LEAST_TARGET) == []
        assert page.page.is_visible(".for-finger")
        assert page.page.is_visible(".box-remove")
        page.page.tap(".box-remove")
        page.page.wait_for_selector(".box", state="detached")


def test_whatever_can_be_operated_has_a_name_and_the_result_is_announced(
    browser: Browser, server: RunningServer
) -> None:
    with opened(browser, server.url) as page:
        answer_of_discs(page)
        page.page.click("#add-box")
        page.wait_for_text("curl", "boxes")
        session = page.page.context.new_cdp_session(page.page)
        nodes: list[dict[str, Any]] = session.send("Accessibility.getFullAXTree")["nodes"]
        named = [
            (node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]
        ]
        assert len([role for role, _ in named if role in ROLES]) > 20
        assert not [role for role, name in named if role in ROLES and not name.strip()]
        assert ("group", "Box 1: x 40, y 30, 80 by 60") in named
        assert [name.partition(",")[0] for role, name in named if role == "row" and name] == ["red", "green", "blue"]
        status = page.page.locator("#status")
        assert status.get_attribute("role") == "status"
        assert re.fullmatch(r"3 keypoints of one object, mean score [\d.]+, in \d+ ms\.", page.text("status"))
        assert page.page.locator("#problem").get_attribute("role") == "alert"


def test_the_colours_are_the_system_s_until_they_are_chosen(browser: Browser, server: RunningServer) -> None:
    def ground(page: OpenPage) -> float:
        return _luminance(page.page.evaluate("getComputedStyle(document.body).backgroundColor"))

    with opened(browser, server.url, color_scheme="dark") as page:
        assert ground(page) < 0.05
        assert page.page.get_attribute("#theme", "aria-pressed") == "true"
        page.page.click("#theme")
        assert ground(page) > 0.8
        assert page.page.get_attribute("#theme", "aria-pressed") == "false"
        page.page.reload()
        assert ground(page) > 0.8


def test_the_interface_is_documented_without_a_network(browser: Browser, server: RunningServer) -> None:
    with opened(browser, server.url) as page:
        page.page.click("#interface")
        page.page.wait_for_selector("#operations-keypoints-keypoints_v1_keypoints_post, .opblock-post")
        assert page.page.locator(".opblock").count() >= 10
