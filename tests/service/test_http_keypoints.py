"""`POST /v1/keypoints` over a real connection: what goes in, what comes out, and that answers find their asker."""

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import BOX_AROUND_CENTRES, CENTRES, FakeEngine, draw_discs, encode
from tests.service.conftest import RunningServer, StartServer

PICTURE = encode(draw_discs())
WITHIN_PIXELS = 0.25


def post_raw(client: httpx.Client, picture: bytes = PICTURE, boxes: str = "", media_type: str = "image/png") -> Any:
    answer = client.post(
        "/v1/keypoints",
        content=picture,
        params={"boxes": boxes} if boxes else None,
        headers={"Content-Type": media_type},
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def points_of(instance: dict[str, Any]) -> NDArray[np.float64]:
    return np.array([[keypoint["x"], keypoint["y"]] for keypoint in instance["keypoints"]])


def test_the_answer_is_as_documented(server: RunningServer) -> None:
    answer = post_raw(server.client, boxes="35,25,71,71")
    assert answer["model"] == {"name": "discs", "version": "1.2.3"}
    assert answer["image"] == {"width": 160, "height": 120}
    [instance] = answer["instances"]
    assert set(answer) == {"model", "image", "instances"}
    assert list(instance) == ["box", "score", "keypoints"]
    assert instance["box"] == [35, 25, 71, 71]
    assert instance["score"] == 1
    assert [list(keypoint) for keypoint in instance["keypoints"]] == [["name", "x", "y", "score"]] * 3
    assert [keypoint["name"] for keypoint in instance["keypoints"]] == ["red", "green", "blue"]
    assert np.abs(points_of(instance) - CENTRES).max() < WITHIN_PIXELS


def test_three_ways_to_ask_give_one_answer(server: RunningServer) -> None:
    boxes = [list(BOX_AROUND_CENTRES), [30.5, 20, 85.25, 80]]
    raw = post_raw(server.client, boxes=";".join(",".join(map(str, box)) for box in boxes))
    octets = post_raw(
        server.client, boxes="35,25,71,71;30.5,20,85.25,80", media_type="application/octet-stream; charset=binary"
    )
    form = server.client.post(
        "/v1/keypoints", files={"file": ("discs.png", PICTURE)}, data={"boxes": json.dumps(boxes)}
    )
    as_json = server.client.post(
        "/v1/keypoints", json={"image": base64.b64encode(PICTURE).decode("ascii"), "boxes": boxes}
    )
    assert raw == octets == form.json() == as_json.json()
    assert len(raw["instances"]) == 2


def test_three_ways_to_ask_without_boxes(server: RunningServer) -> None:
    raw = post_raw(server.client)
    form = server.client.post("/v1/keypoints", files={"file": ("discs.png", PICTURE)})
    as_json = server.client.post("/v1/keypoints", json={"image": base64.b64encode(PICTURE).decode("ascii")})
    assert raw == form.json() == as_json.json()


def test_without_boxes_the_second_look_is_around_the_first_answer(start_server: StartServer) -> None:
    engine = FakeEngine()
    running = start_server(engine)
    engine.batch_sizes.clear()
    [instance] = post_raw(running.client)["instances"]
    assert engine.batch_sizes == [1, 1]
    x, y, width, height = instance["box"]
    low, high = CENTRES.min(axis=0), CENTRES.max(axis=0)
    assert np.abs([x - low[0], y - low[1], width - 1 - (high - low)[0], height - 1 - (high - low)[1]]).max() < 0.5
    assert np.abs(points_of(instance) - CENTRES).max() < WITHIN_PIXELS


def test_a_black_picture_has_one_instance_with_all_keypoints(server: RunningServer) -> None:
    [instance] = post_raw(server.client, encode(np.zeros((50, 70, 3), np.uint8)))["instances"]
    assert instance["score"] == 0
    assert len(instance["keypoints"]) == 3


def test_boxes_may_reach_outside_the_picture(server: RunningServer) -> None:
    instances = post_raw(server.client, boxes="-40,-50,220,230;500,500,10,10;20.5,-3,100,1e2")["instances"]
    assert [instance["score"] > 0 for instance in instances] == [True, False, True]
    assert all(np.abs(points_of(instances[index]) - CENTRES).max() < 1 for index in (0, 2))


def test_sixty_four_boxes_are_one_request(server: RunningServer) -> None:
    instances = post_raw(server.client, boxes=";".join(["35,25,71,71"] * 64))["instances"]
    assert len(instances) == 64
    assert all(np.abs(points_of(instance) - CENTRES).max() < WITHIN_PIXELS for instance in instances)


def test_large_files_stay_in_memory_and_work_as_forms(server: RunningServer) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (900, 900, 3), dtype=np.uint8)
    picture = encode(noise)
    assert len(picture) > 2**21
    form = server.client.post("/v1/keypoints", files={"file": ("noise.png", picture)})
    assert form.json()["image"] == {"width": 900, "height": 900}


@pytest.mark.parametrize("with_boxes", [True, False])
def test_32_concurrent_posts_get_32_right_answers(start_server: StartServer, with_boxes: bool) -> None:
    engine = FakeEngine()
    running = start_server(engine)
    random = np.random.default_rng(7)
    corners = [(40, 30), (100, 44), (70, 90)]
    truths = [np.array(corners) + random.uniform(-20, 20, (3, 2)) for _ in range(32)]

    def ask(truth: NDArray[np.float64]) -> float:
        boxes = "10,0,130,118" if with_boxes else ""
        [instance] = post_raw(running.client, encode(draw_discs(truth)), boxes)["instances"]
        return float(np.abs(points_of(instance) - truth).max())

    with ThreadPoolExecutor(32) as pool:
        errors = list(pool.map(ask, truths))
    assert max(errors) < 1  # the pictures differ by tens of pixels
    assert engine.threads == {"worker"}


def test_crops_of_different_requests_share_batches(start_server: StartServer) -> None:
    first_batch_runs, all_others_wait = threading.Event(), threading.Event()

    def hold_the_first_batch(_: NDArray[np.uint8]) -> None:
        first_batch_runs.set()
        assert all_others_wait.wait(20)

    engine = FakeEngine(hold_the_first_batch)
    running = start_server(engine, max_batch=16)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(post_raw, running.client, PICTURE, "35,25,71,71")
        assert first_batch_runs.wait(20)
        others = [pool.submit(post_raw, running.client, PICTURE, "35,25,71,71;30,20,80,80") for _ in range(8)]
        while "focalpoint_queue_depth 16.0" not in running.metrics():
            pass
        all_others_wait.set()
        assert all(len(other.result()["instances"]) == 2 for other in others)
        assert len(first.result()["instances"]) == 1
    assert engine.batch_sizes == [1, 16]


def test_tiff_is_taken_where_the_switch_says_so(server: RunningServer, start_server: StartServer) -> None:
    picture = {"content": encode(draw_discs(), ".tiff"), "headers": {"Content-Type": "image/tiff"}}
    refused = server.client.post("/v1/keypoints", **picture)  # type: ignore[arg-type]
    assert (refused.status_code, refused.json()["type"]) == (415, "unsupported-media-type")
    taken = start_server(allow_tiff=True).client.post("/v1/keypoints", **picture)  # type: ignore[arg-type]
    assert taken.status_code == 200
    assert np.abs(points_of(taken.json()["instances"][0]) - CENTRES).max() < 0.5
