"""What a person does with the page, in a real browser: drop, draw, stream, copy, with the mouse and with keys alone."""

import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Request, expect

from service.api_keys import new_key
from tests.fakes import draw_discs, encode
from tests.server_process import ServerProcess, serving
from tests.service.conftest import StartServer
from tests.service.page_in_browser import OpenPage, chromium, opened, picture_file

MODELS = Path(__file__).parents[2] / "models"
FACE_BOX = (150, 60, 140, 140)  # around the face of the portrait


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def both(browser: Browser) -> Iterator[ServerProcess]:
    """A server with both models of the repository; asked for after the browser, so that it is not started in vain."""
    with serving(MODELS) as server:
        yield server


@pytest.fixture
def page(browser: Browser, both: ServerProcess) -> Iterator[OpenPage]:
    with opened(browser, both.url, reduced_motion="reduce", viewport={"width": 1200, "height": 900}) as one:
        yield one


def on_its_side(picture: bytes) -> bytes:
    """A JPEG that is stored turned by a quarter, with the EXIF orientation that turns it back."""
    turned = Image.open(io.BytesIO(picture)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = io.BytesIO()
    turned.save(stored, "JPEG", exif=exif, quality=95)
    return stored.getvalue()


def ask(server: ServerProcess, content: bytes, **query: str) -> dict[str, Any]:
    """What the server says to any other client."""
    with server.client() as client:
        answer = client.post(
            "/v1/keypoints", content=content, params=query, headers={"Content-Type": "application/octet-stream"}
        )
    found: dict[str, Any] = answer.json()
    assert answer.status_code == 200, found
    return found


def expected_drawing(
    answer: dict[str, Any], skeleton: list[tuple[int, int]], canvas: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Where the dots (K, 2) belong on a canvas, and its pixels (H, W) that lie on dots and bones."""
    height, width = canvas.shape[:2]
    scale = width / answer["image"]["width"]
    drawn = np.zeros((height, width), np.uint8)
    dots = np.array([[(p["x"] + 0.5) * scale, (p["y"] + 0.5) * scale] for p in answer["instances"][0]["keypoints"]])
    places = [tuple(np.round(dot - 0.5).astype(int).tolist()) for dot in dots]
    for start, end in skeleton:
        cv2.line(drawn, places[start], places[end], 255)
    for place in places:
        cv2.circle(drawn, place, 1, 255, cv2.FILLED)
    return dots, drawn


@pytest.mark.parametrize("turned", [False, True], ids=["as it is", "by EXIF"])
def test_a_dropped_picture_has_its_points_where_the_server_finds_them(
    page: OpenPage, both: ServerProcess, turned: bool
) -> None:
    file = on_its_side(picture_file("astronaut.jpg")) if turned else picture_file("astronaut.jpg")
    page.drop("portrait.jpg", "image/jpeg", file)
    shown = page.wait_for_answer()
    expected = ask(both, file, model="face68")
    assert shown == expected
    points = page.canvas("points")
    with both.client() as client:
        skeleton = client.get("/v1/models/face68").json()["skeleton"]
    dots, drawn = expected_drawing(expected, skeleton, points)
    columns, rows = np.floor(dots).astype(int).T
    assert points[rows, columns, 3].min() == 255  # opaque in the middle of every dot
    away = cv2.distanceTransform(255 - drawn, cv2.DIST_L2, 5)
    assert away[points[:, :, 3] > 0].max() < 5  # 3.9 px measured: the radius of a dot and its outline
    assert (points[:, :, 3] > 0).mean() < 0.05
    picture = cv2.cvtColor(page.canvas("picture"), cv2.COLOR_BGRA2BGR)
    original = cv2.imdecode(np.frombuffer(picture_file("astronaut.jpg"), np.uint8), cv2.IMREAD_COLOR)
    assert original is not None
    difference = np.abs(cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA).astype(float)
                        - cv2.resize(original, (64, 64), interpolation=cv2.INTER_AREA))  # fmt: skip
    assert difference.mean() < 4  # 1.1 measured as it is


def test_a_pasted_picture_is_asked_like_any_other(page: OpenPage, both: ServerProcess) -> None:
    page.paste("image.png", "image/png", picture_file("mouse.png"))
    page.wait_for_answer()
    page.page.select_option("#model", "mouse17")
    page.wait_for_text("curl", "model=mouse17")
    assert page.wait_for_answer() == ask(both, picture_file("mouse.png"), model="mouse17")
    with page.page.expect_download() as saved:  # there is no file that the curl line could read
        page.page.click("#save-picture")
    assert Path(saved.value.path()).read_bytes() == picture_file("mouse.png")


def test_scores_colour_the_points_and_the_threshold_hides_them(page: OpenPage) -> None:
    page.page.click("[data-example=mouse17]")
    answer = page.wait_for_answer()
    assert answer["model"]["name"] == "mouse17"
    points = page.canvas("points")
    dots, _ = expected_drawing(answer, [], points)
    for index, keypoint in enumerate(answer["instances"][0]["keypoints"]):
        others = np.delete(dots, index, axis=0)
        if np.linalg.norm(others - dots[index], axis=1).min() > 30 and keypoint["score"] > 0.95:
            column, row = np.floor(dots[index]).astype(int)
            blue, green, red, _ = points[row, column].astype(int)
            np.testing.assert_allclose([red, green, blue], [45, 226, 198], atol=25)
    page.page.fill("#threshold", "0.95")
    points = page.canvas("points")
    scores = [keypoint["score"] for keypoint in answer["instances"][0]["keypoints"]]
    hidden = next(index for index, score in enumerate(scores) if score < 0.95)
    column, row = np.floor(dots[hidden]).astype(int)
    assert points[row, column, 3] < 100  # the shadow of a bone may fall there, a dot is opaque
    assert points[:, :, 3].max() == 255
    assert page.text("threshold-count") == f"{sum(score >= 0.95 for score in scores)} of 17 drawn"


def test_pointing_at_a_keypoint_names_it(page: OpenPage) -> None:
    page.page.click("[data-example=mouse17]")
    answer = page.wait_for_answer()
    nose = next(p for p in answer["instances"][0]["keypoints"] if p["name"] == "nose_top")
    stage = page.page.locator("#stage").bounding_box()
    assert stage
    scale = stage["width"] / answer["image"]["width"]
    page.page.mouse.move(stage["x"] + (nose["x"] + 0.5) * scale, stage["y"] + (nose["y"] + 0.5) * scale)
    assert page.text("tip").split() == ["nose_top", f"{nose['score']:.2f}"]
    assert page.page.locator("tr.pointed th").text_content() == "nose_top"
    page.page.mouse.move(stage["x"] - 20, stage["y"])
    assert page.page.is_hidden("#tip")


def drag_box(page: OpenPage, box: tuple[int, int, int, int], width: int) -> list[float]:
    """Draw a box given in pixels of a picture of this width, and return what the request says of it."""
    stage = page.page.locator("#stage").bounding_box()
    assert stage
    scale = stage["width"] / width
    x, y, w, h = (number * scale for number in box)
    mouse = page.page.mouse
    mouse.move(stage["x"] + x, stage["y"] + y)
    mouse.down()
    mouse.move(stage["x"] + x + w / 2, stage["y"] + y + h / 3)
    mouse.move(stage["x"] + x + w, stage["y"] + y + h)
    with page.page.expect_request("**/v1/keypoints?*") as sent:
        mouse.up()
    page.wait_for_text("curl", parse_qs(urlsplit(sent.value.url).query)["boxes"][0])  # the answer is there
    return boxes_of(sent.value)[-1]


def boxes_of(request: Request) -> list[list[float]]:
    query = parse_qs(urlsplit(request.url).query)
    return [[float(number) for number in box.split(",")] for box in query["boxes"][0].split(";")]


def test_boxes_drawn_by_mouse_are_looked_at(page: OpenPage) -> None:
    page.drop("portrait.jpg", "image/jpeg", picture_file("astronaut.jpg"))
    page.wait_for_answer()
    for number, box in enumerate((FACE_BOX, (140, 50, 160, 160)), start=1):
        sent = drag_box(page, box, 512)
        np.testing.assert_allclose(sent, box, atol=1.5)  # a pixel of the screen is 0.8 of the picture
        instances = page.wait_for_answer()["instances"]
        assert len(instances) == page.page.locator("#keypoints tbody").count() == number
        found = instances[-1]
        np.testing.assert_allclose(found["box"], sent, atol=0.001)
        x, y, w, h = box
        assert all(x <= p["x"] <= x + w and y <= p["y"] <= y + h for p in found["keypoints"])
    with page.page.expect_request("**/v1/keypoints?model=face68"):
        page.page.click("#clear-boxes")


def test_the_camera_streams_until_it_is_stopped(page: OpenPage) -> None:
    page.page.click("#camera")
    page.wait_for_text("rate", re.compile(r"[1-9].* frames per second"))
    page.wait_for_text("camera-label", "Stop")
    assert page.canvas("picture")[:, :, :3].std() > 10  # it shows something
    assert page.canvas("points")[:, :, 3].max() == 255
    page.page.click("#camera")
    page.wait_for_text("status", "The camera has stopped.")
    assert page.text("camera-label") == "Camera"
    asked = sum("/v1/keypoints" in request for request in page.requests)
    assert asked >= 2
    page.page.wait_for_timeout(300)
    assert sum("/v1/keypoints" in request for request in page.requests) == asked
    assert not page.page.is_hidden("#curl-hint")


def test_a_camera_that_cannot_be_opened_changes_nothing(page: OpenPage) -> None:
    page.drop("portrait.jpg", "image/jpeg", picture_file("astronaut.jpg"))
    page.wait_for_answer()
    drag_box(page, FACE_BOX, 512)
    page.wait_for_answer()
    page.page.evaluate("document.activeElement.blur()")  # the button of a box is shown where the keyboard is

    def all_of_it() -> list[Any]:
        texts = [page.text(name) for name in ("status", "curl", "json", "camera-label")]
        return [*texts, page.page.locator(".box").get_attribute("aria-label"), page.canvas("points").tobytes()]

    before = all_of_it()
    for name, words in {
        "NotFoundError": "No camera was found.",
        "NotAllowedError": "The camera is not allowed.",
    }.items():
        page.page.evaluate(
            "(name) => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', name); } }",
            name,
        )
        page.page.click("#camera")
        page.wait_for_text("problem-detail", words)
        assert page.page.is_enabled("#camera")
        assert all_of_it() == before


def test_a_model_that_sees_something_else_is_doubted_aloud(page: OpenPage, both: ServerProcess) -> None:
    page.page.click("[data-example=face68]")
    assert page.wait_for_answer()["instances"][0]["score"] > 0.5  # 0.82 measured
    assert page.page.locator("#status .doubt").count() == 0
    page.drop("mouse.png", "image/png", picture_file("mouse.png"))
    page.page.wait_for_selector("#status .doubt")
    assert page.wait_for_answer()["instances"][0]["score"] < 0.5  # 0.24 measured
    with both.client() as client:
        description = client.get("/v1/models/face68").json()["description"]
    assert f"The model is not sure that it sees what it was made for: {description}" in page.text("status")
    assert page.page.evaluate("document.querySelector('#status .doubt').getBoundingClientRect().bottom") < 900
    page.page.select_option("#model", "mouse17")
    page.page.wait_for_selector("#status .doubt", state="detached")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on PATH")
def test_the_curl_line_gives_what_the_page_shows(page: OpenPage, tmp_path: Path) -> None:
    name = "it's a $picture.jpg"
    (tmp_path / name).write_bytes(picture_file("astronaut.jpg"))

    def run_it() -> dict[str, Any]:
        line = page.text("curl")
        ended = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, check=True, timeout=30)
        answer: dict[str, Any] = json.loads(ended.stdout)
        return answer

    page.page.click("[data-example=face68]")
    shown = page.wait_for_answer()
    assert run_it() == shown
    page.drop(name, "image/jpeg", picture_file("astronaut.jpg"))
    page.wait_for_text("curl", "picture.jpg")
    drag_box(page, FACE_BOX, 512)
    page.page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.page.click("#copy-curl")
    assert page.page.evaluate("window.copied") == page.text("curl")
    shown = page.page.evaluate("JSON.parse(document.querySelector('#json').textContent)")
    assert run_it() == shown
    assert shown["instances"][0]["box"][2] == pytest.approx(FACE_BOX[2], abs=1.5)


def test_the_answer_and_the_picture_can_be_taken_along(page: OpenPage) -> None:
    page.page.click("[data-example=mouse17]")
    answer = page.wait_for_answer()
    with page.page.expect_download() as saved:
        page.page.click("#save-png")
    assert saved.value.suggested_filename == "mouse-keypoints.png"
    original = cv2.imdecode(np.frombuffer(picture_file("mouse.png"), np.uint8), cv2.IMREAD_COLOR)
    drawn = cv2.imread(str(saved.value.path()))
    assert drawn is not None
    assert original is not None
    assert drawn.shape == original.shape
    changed = np.abs(drawn.astype(int) - original).max(axis=2) > 40
    for keypoint in answer["instances"][0]["keypoints"]:
        assert changed[min(round(keypoint["y"]), drawn.shape[0] - 1), round(keypoint["x"])]
    page.page.click("summary")
    with page.page.expect_download() as saved:
        page.page.click("#save-json")
    assert saved.value.suggested_filename == "mouse.json"
    assert json.loads(Path(saved.value.path()).read_text(encoding="utf-8")) == answer


def test_keys_alone_do_it_all(page: OpenPage) -> None:
    keyboard = page.page.keyboard

    def tab_to(selector: str) -> None:
        for _ in range(30):
            keyboard.press("Tab")
            ring = page.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert ring != "none", page.page.evaluate("document.activeElement.outerHTML")
            if page.page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"no way to {selector}")

    tab_to(".skip")
    keyboard.press("Enter")
    tab_to("[data-example=face68]")
    keyboard.press("Enter")
    answer = page.wait_for_answer()
    tab_to("#threshold")
    keyboard.press("End")
    assert page.text("threshold-value") == "1.00"
    keyboard.press("Home")
    tab_to("#keypoints tr")
    for key in ("ArrowDown", "ArrowDown", "End"):
        keyboard.press(key)
    last = answer["instances"][0]["keypoints"][-1]
    assert page.text("tip").split() == [last["name"], f"{last['score']:.2f}"]
    keyboard.press("Tab")
    assert page.page.evaluate("!document.activeElement.matches('#keypoints tr')")  # the table is one stop
    page.page.focus("#main")
    tab_to("#add-box")
    with page.page.expect_request("**boxes=*") as sent:
        keyboard.press("Enter")
        assert page.page.evaluate("document.activeElement.className") == "box"
    assert boxes_of(sent.value) == [[128, 128, 256, 256]]
    with page.page.expect_request("**boxes=*") as sent:
        for key in ("ArrowLeft", "ArrowUp", "ArrowUp", "Shift+ArrowLeft"):
            keyboard.press(key)
    assert boxes_of(sent.value) == [[118, 108, 246, 256]]
    with page.page.expect_request("**/v1/keypoints?model=face68"):
        keyboard.press("Delete")
    assert page.page.locator(".box").count() == 0


def test_the_server_s_own_words_are_shown(browser: Browser, both: ServerProcess) -> None:
    with opened(browser, both.url, expected_statuses=(415,)) as page:
        page.drop("notes.txt", "text/plain", b"no picture at all")
        page.page.wait_for_selector("#problem:visible")
        with both.client() as client:
            said = client.post(
                "/v1/keypoints?model=face68",
                content=b"no picture at all",
                headers={"Content-Type": "application/octet-stream"},
            ).json()
        named = (said["title"], f"notes.txt: {said['detail']}")
        assert (page.text("problem-title"), page.text("problem-detail")) == named
        page.page.click("[data-example=face68]")
        answer = page.wait_for_answer()
        assert page.page.is_hidden("#problem")
        page.page.mouse.move(1, 1)  # a keypoint that is pointed at has a ring
        words, points = page.text("status"), page.canvas("points")
        page.page.set_viewport_size({"width": 500, "height": 500})
        page.page.evaluate("scrollTo({ top: document.body.scrollHeight, behavior: 'instant' })")
        page.drop("notes.txt", "text/plain", b"no picture at all")
        page.page.wait_for_selector("#problem:visible")
        expect(page.page.locator("#problem")).to_be_in_viewport()
        page.page.set_viewport_size({"width": 1280, "height": 720})
        assert page.wait_for_answer() == answer  # what was there is there
        assert page.text("status") == words
        np.testing.assert_array_equal(page.canvas("points"), points)


def test_a_key_is_asked_for_and_a_busy_server_is_waited_for(
    browser: Browser, start_server: StartServer, tmp_path: Path
) -> None:
    key, sha256 = new_key()
    file = tmp_path / "keys.toml"
    file.write_text(f'[[key]]\nname = "one"\nsha256 = "{sha256}"\nimages_per_second = 0.1\n', encoding="utf-8")
    running = start_server(api_keys=file)
    with opened(browser, running.url, expected_statuses=(401, 429)) as page:
        page.page.wait_for_selector("#key-form:visible")
        assert page.text("key-why") == "This server asks for an API key. Get one from whoever runs it."
        assert page.page.is_hidden("#problem")
        page.page.fill("#key", "fp_wrong")
        page.page.keyboard.press("Enter")
        page.wait_for_text("key-why", "does not know")
        assert page.page.is_hidden("#problem")
        page.page.fill("#key", key)
        page.page.keyboard.press("Enter")
        page.page.wait_for_selector("#model option", state="attached")
        assert page.page.is_hidden("#key-form")
        for _ in range(2):
            page.drop("discs.png", "image/png", encode(draw_discs()))
        page.wait_for_text("status", "asked again in")
        page.wait_for_answer()
        assert key not in page.text("curl")
        assert '"Authorization: Bearer $FOCALPOINT_KEY"' in page.text("curl")
        assert page.page.evaluate("Object.keys(localStorage).length") == 0
        page.page.reload()
        page.page.wait_for_selector("#model option", state="attached")  # the tab has not forgotten it
