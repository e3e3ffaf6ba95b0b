"""`POST /v1/keypoints:batch` over a real connection: each picture has its answer or its problem in its place."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from service.errors import PROBLEMS
from tests.fakes import BOX_AROUND_CENTRES, CENTRES, draw_discs, encode
from tests.service.conftest import RunningServer

BOX = list(BOX_AROUND_CENTRES)
SHIFTS = [0.0, 5.0, 10.0]
SUFFIXES = [".png", ".bmp", ".webp"]
PICTURES = [encode(draw_discs(CENTRES + shift), suffix) for shift, suffix in zip(SHIFTS, SUFFIXES, strict=True)]


def as_form(files: list[bytes], boxes: Any = None) -> dict[str, Any]:
    fields = {"data": {"boxes": json.dumps(boxes)}} if boxes is not None else {}
    return {"files": [("file", (f"{index}.png", content)) for index, content in enumerate(files)], **fields}


def as_json(files: list[bytes], boxes: list[Any]) -> dict[str, Any]:
    images = [
        {"image": base64.b64encode(content).decode()} | ({"boxes": of_image} if of_image else {})
        for content, of_image in zip(files, boxes, strict=True)
    ]
    return {"json": {"images": images}}


@pytest.mark.parametrize("form", [as_form, as_json])
def test_answers_are_those_of_single_requests_in_order(server: RunningServer, form: Any) -> None:
    boxes = [[BOX, [30, 20, 80, 90]], None, [BOX]]
    answer = server.client.post("/v1/keypoints:batch", **form(PICTURES, boxes))
    assert answer.status_code == 200, answer.text
    single = [
        server.client.post("/v1/keypoints", **as_form([picture], of)).json()
        for picture, of in zip(PICTURES, [boxes[0], [], boxes[2]], strict=True)
    ]
    assert answer.json() == {"results": single}
    for result, shift in zip(single, SHIFTS, strict=True):
        points = [[keypoint["x"], keypoint["y"]] for keypoint in result["instances"][0]["keypoints"]]
        assert np.abs(np.array(points) - CENTRES - shift).max() < 1  # the pictures differ by five pixels


@pytest.mark.parametrize("form", [as_form, as_json])
def test_bad_pictures_leave_their_neighbours_alone(server: RunningServer, form: Any) -> None:
    files = [PICTURES[0], b"GIF89a", PICTURES[1][:-900], PICTURES[2]]
    answer = server.client.post("/v1/keypoints:batch", **form(files, [None, None, None, [[0, 0, 1e9, 4]]]))
    assert answer.status_code == 200
    good, *bad = answer.json()["results"]
    assert good == server.client.post("/v1/keypoints", **as_form([PICTURES[0]])).json()
    assert [problem["type"] for problem in bad] == [
        "unsupported-media-type",
        "unprocessable-image",
        "invalid-parameter",
    ]
    assert all(problem["status"] == PROBLEMS[problem["type"]].status for problem in bad)
    assert all(set(problem) == {"type", "title", "status", "detail"} for problem in bad)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"json": {"images": []}}, 422),
        ({"json": {}}, 422),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": PICTURES[0], "headers": {"Content-Type": "image/png"}}, 415),
        (as_form(PICTURES, [[], []]), 422),
        (as_form([b"abc"] * 2000), 400),
    ],
)
def test_a_wrong_request_fails_as_a_whole(server: RunningServer, body: dict[str, Any], status: int) -> None:
    answer = server.client.post("/v1/keypoints:batch", **body)
    assert answer.status_code == status
    assert answer.json()["status"] == status
