"""The forms of an answer: coordinates, formats, heatmaps and the annotated picture."""

import base64
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.answer_encoding import normalize_points
from service.image_decoding import decode_image
from tests.fakes import BOX_AROUND_CENTRES, CENTRES, CROP_HEIGHT, CROP_WIDTH, FakeEngine, draw_discs, encode
from tests.service.conftest import RunningServer, StartServer
from tests.service.test_http_problems import PNG, check_problem

PICTURE = encode(draw_discs())
BOXES = "35,25,71,71;30,20,85,80"


def post(server: RunningServer, accept: str = "*/*", **query: str) -> httpx.Response:
    headers = {**PNG, "Accept": accept}
    return server.client.post("/v1/keypoints", content=PICTURE, headers=headers, params={"boxes": BOXES, **query})


def answer_of(server: RunningServer, **query: str) -> Any:
    answer = post(server, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_format_says_the_same(server: RunningServer) -> None:
    native, coco, compact = (answer_of(server, format=name) for name in ("native", "coco", "compact"))
    assert native == answer_of(server)
    for answer in (coco, compact):
        assert (answer["model"], answer["image"]) == (native["model"], native["image"])
    instances = native["instances"]
    flat = [
        [number for point in one["keypoints"] for number in (point["x"], point["y"], point["score"])]
        for one in instances
    ]
    assert [one["keypoints"] for one in coco["results"]] == compact["keypoints"] == flat
    assert [one["bbox"] for one in coco["results"]] == compact["boxes"] == [one["box"] for one in instances]
    assert [one["score"] for one in coco["results"]] == compact["scores"] == [one["score"] for one in instances]
    assert {one["category_id"] for one in coco["results"]} == {1}
    assert coco["category"] == {
        "id": 1, "name": "discs", "keypoints": ["red", "green", "blue"], "skeleton": [[1, 2], [2, 3]],
    }  # fmt: skip


def test_normalized_coordinates_count_from_the_edges_of_the_picture(server: RunningServer) -> None:
    [one, _] = answer_of(server, coordinates="normalized", format="compact")["keypoints"]
    points = np.array(one).reshape(-1, 3)[:, :2]
    expected = (CENTRES + 0.5) / (160, 120)
    assert np.abs(points - expected).max() < 0.25 / 120
    answer = answer_of(server, coordinates="normalized")
    assert answer["image"] == {"width": 160, "height": 120}
    assert answer["instances"][0]["box"] == pytest.approx([35 / 160, 25 / 120, 71 / 160, 71 / 120], abs=1e-6)


@given(point=st.tuples(st.floats(-50, 500), st.floats(-50, 500)), times=st.integers(2, 9))
def test_normalized_coordinates_stay_when_a_picture_is_resized(point: tuple[float, float], times: int) -> None:
    small = np.array(point)
    large = (small + 0.5) * times - 0.5  # the centre of a pixel that became times x times pixels
    assert normalize_points(small, 160, 120) == pytest.approx(normalize_points(large, 160 * times, 120 * times))


def test_the_corners_of_a_picture_are_0_and_1() -> None:
    corners = np.array([[-0.5, -0.5], [159.5, 119.5]])
    assert normalize_points(corners, 160, 120).tolist() == [[0, 0], [1, 1]]


def test_heatmaps_lie_where_their_matrix_says(server: RunningServer) -> None:
    answer = answer_of(server, heatmaps="true")
    for instance in answer["instances"]:
        heatmaps = instance["heatmaps"]
        assert (heatmaps["shape"], heatmaps["dtype"]) == ([3, CROP_HEIGHT, CROP_WIDTH], "float16")
        values = np.frombuffer(base64.b64decode(heatmaps["data"]), "<f2").reshape(heatmaps["shape"]).astype(np.float64)
        rows, columns = np.mgrid[:CROP_HEIGHT, :CROP_WIDTH]
        for plane, point in zip(values, instance["keypoints"], strict=True):
            cell = np.array([(plane * columns).sum(), (plane * rows).sum()]) / plane.sum()
            x, y = np.array(heatmaps["to_image"]) @ [*cell, 1]
            assert (x, y) == pytest.approx((point["x"], point["y"]), abs=0.02)  # 0.008 measured: float16
    without = answer_of(server)
    assert all("heatmaps" not in one for one in without["instances"])
    for instance in answer["instances"]:
        del instance["heatmaps"]
    assert answer == without


def test_heatmaps_are_fetched_only_on_request(start_server: StartServer) -> None:
    calls: list[str] = []

    class Noted(FakeEngine):
        def run_with_heatmaps(self, crops_NHW3: NDArray[np.uint8]) -> Any:
            calls.append("heatmaps")
            return super().run_with_heatmaps(crops_NHW3)

    running = start_server(Noted())
    answer_of(running)
    assert not calls
    answer_of(running, heatmaps="true")
    assert calls


def test_heatmaps_are_bounded(start_server: StartServer) -> None:
    running = start_server(max_heatmap_boxes=1)
    check_problem(post(running, heatmaps="true"), "invalid-parameter", "at most 1 boxes, found 2")
    check_problem(post(running, heatmaps="1"), "invalid-parameter", "heatmaps: expected true or false, found '1'")
    check_problem(post(running, heatmaps="true", format="coco"), "invalid-parameter", "expected the format native")
    image = base64.b64encode(PICTURE).decode()
    several = running.client.post("/v1/keypoints:batch", json={"images": [{"image": image}], "heatmaps": True})
    check_problem(several, "invalid-parameter", "found in one with several")
    one = {"image": image, "boxes": [list(BOX_AROUND_CENTRES)], "heatmaps": True}
    assert "heatmaps" in running.client.post("/v1/keypoints", json=one).json()["instances"][0]


def test_the_annotated_picture(server: RunningServer) -> None:
    answer = post(server, accept="image/png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.headers["x-model-name"] == "discs"
    drawn = decode_image(answer.content, 10**6)
    picture = draw_discs()
    assert drawn.shape == picture.shape
    changed = np.argwhere((drawn != picture).any(axis=2))
    assert len(changed) > 20
    # Everything that was drawn lies between the keypoints: nothing is off by a box or an axis.
    assert (changed.min(axis=0) > CENTRES[:, ::-1].min(axis=0) - 5).all()
    assert (changed.max(axis=0) < CENTRES[:, ::-1].max(axis=0) + 5).all()


def test_what_cannot_be_accepted(server: RunningServer, start_server: StartServer) -> None:
    check_problem(post(server, accept="image/jpeg"), "not-acceptable", "expected application/json or image/png")
    several = server.client.post("/v1/keypoints:batch", files={"file": PICTURE}, headers={"Accept": "image/png"})
    check_problem(several, "not-acceptable", "expected application/json, found 'image/png'")
    small = start_server(max_drawn_pixels=160 * 120 - 1)
    check_problem(post(small, accept="image/png"), "unprocessable-image", "pixels")
    assert post(small).status_code == 200
