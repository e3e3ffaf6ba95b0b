"""Every problem of the table, reached over a real connection, is a problem document that says what was expected."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from service.engine import EngineOutput
from service.errors import PROBLEMS
from service.problem_details import PROBLEM_MEDIA_TYPE
from tests.fakes import FakeEngine, draw_discs, encode
from tests.service.conftest import RunningServer, StartServer, running_server

PICTURE = encode(draw_discs())
PNG = {"Content-Type": "image/png"}
JSON = {"Content-Type": "application/json"}
SECONDS = 20


def check_problem(answer: httpx.Response, slug: str, *words: str) -> None:
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail"} | (
        {"retry_after_ms"} if slug == "overloaded" else set()
    )
    assert problem["type"] == slug
    assert problem["title"] == PROBLEMS[slug].title
    assert problem["status"] == answer.status_code == PROBLEMS[slug].status
    for word in words:
        assert word in problem["detail"]
    assert "Traceback" not in answer.text


def with_boxes(value: Any) -> dict[str, Any]:
    return {"content": json.dumps({"image": "aGk=", "boxes": value}), "headers": JSON}


def in_query(boxes: str) -> dict[str, Any]:
    return {"content": PICTURE, "headers": PNG, "params": {"boxes": boxes}}


REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("bad-request", "no bytes", {"content": b"", "headers": PNG}),
    ("bad-request", "not JSON", {"content": b"{", "headers": JSON}),
    ("bad-request", "JSON object", {"content": b"[]", "headers": JSON}),
    ("bad-request", "multipart", {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}),
    ("bad-request", "multipart", {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}),
    ("invalid-parameter", "each form field once", {"files": [("file", PICTURE), ("file", PICTURE)]}),
    ("unsupported-media-type", "found none", {"content": PICTURE}),
    ("unsupported-media-type", "found text/plain", {"content": PICTURE, "headers": {"Content-Type": "text/plain"}}),
    ("unsupported-media-type", "JPEG, PNG", {"content": b"GIF89a", "headers": {"Content-Type": "image/gif"}}),
    ("unprocessable-image", "cut off", {"content": PICTURE[:-50], "headers": PNG}),
    ("unprocessable-image", "pixels", {"content": encode(np.zeros((2001, 500, 3), np.uint8)), "headers": PNG}),
    ("invalid-parameter", "image: expected base64", {"content": b'{"image": "?"}', "headers": JSON}),
    ("invalid-parameter", "image: expected base64", {"content": b'{"image": 3}', "headers": JSON}),
    ("invalid-parameter", "expected the member image", {"content": b'{"picture": ""}', "headers": JSON}),
    ("invalid-parameter", "'box'", {"content": b'{"image": "aGk=", "box": []}', "headers": JSON}),
    ("invalid-parameter", "found 5", with_boxes(5)),
    ("invalid-parameter", "boxes[1]: expected four numbers", with_boxes([[0, 0, 9, 9], [0, 0, 9]])),
    ("invalid-parameter", "boxes[0]: expected four numbers", with_boxes([[0, 0, 9, 9, 9]])),
    ("invalid-parameter", "boxes[0]: expected four numbers", with_boxes([[0, 0, 9, True]])),
    ("invalid-parameter", "boxes[0]: expected four numbers", with_boxes([{"x": 1}])),
    ("invalid-parameter", "above zero", with_boxes([[0, 0, 0, 9]])),
    ("invalid-parameter", "at most 64, found 65", with_boxes([[0, 0, 9, 9]] * 65)),
    ("invalid-parameter", "expected four numbers", in_query("1,2,x,4")),
    ("invalid-parameter", "expected four numbers", in_query("1,2,3")),
    ("invalid-parameter", "finite", in_query("1,2,3,nan")),
    ("invalid-parameter", "above zero", in_query("1,2,3,-4")),
    ("invalid-parameter", "up to 1280", in_query("0,0,1e9,4")),
    ("invalid-parameter", "at least 0.001 pixels", in_query("0,0,1e-9,4")),
    ("invalid-parameter", "found in the query", {"files": {"file": PICTURE}, "params": {"boxes": "1,2,3,4"}}),
    ("invalid-parameter", "expected the form field file", {"files": {"image": PICTURE}}),
    ("invalid-parameter", "expected a file", {"files": {"file": (None, "text")}}),
    ("invalid-parameter", "found a file", {"files": {"file": ("a.png", PICTURE)} | {"boxes": ("b", b"[]")}}),
    ("invalid-parameter", "boxes: expected JSON", {"files": {"file": PICTURE}, "data": {"boxes": "1,2,3,4"}}),
    ("too-large", "at most 3000000 bytes", {"content": bytes(3_000_001), "headers": PNG}),
    ("too-large", "at most 3000000 bytes", {"files": {"file": bytes(3_000_001)}}),
]


@pytest.fixture(scope="module")
def strict_server() -> Iterator[RunningServer]:
    with running_server(FakeEngine(), max_body_bytes=3_000_000, max_pixels=1_000_000) as running:
        yield running


@pytest.mark.parametrize(("slug", "words", "request_arguments"), REFUSED)
def test_the_callers_mistakes(
    strict_server: RunningServer, slug: str, words: str, request_arguments: dict[str, Any]
) -> None:
    check_problem(strict_server.client.post("/v1/keypoints", **request_arguments), slug, words)


def test_addresses_and_methods(server: RunningServer) -> None:
    check_problem(server.client.get("/nowhere{x}"), "not-found", "/nowhere")
    check_problem(server.client.get("/v1/models/other"), "not-found", "'other'", "'discs'")
    answer = server.client.get("/v1/keypoints")
    check_problem(answer, "method-not-allowed", "/v1/keypoints does not take GET")
    assert answer.headers["allow"] == "POST"


def test_a_body_without_a_length_is_refused_while_it_streams(start_server: StartServer) -> None:
    running = start_server(max_body_bytes=100_000)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 65_536
            yield bytes(65_536)

    try:
        answer = running.client.post("/v1/keypoints", content=endless(), headers=PNG)
    except httpx.TransportError:
        pytest.fail("the server hung up before its answer could be read")
    check_problem(answer, "too-large", "at most 100000 bytes")


def test_a_declared_length_is_refused_before_the_body_comes(start_server: StartServer) -> None:
    running = start_server(max_body_bytes=1000)
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        connection.sendall(
            b"POST /v1/keypoints HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 999999999\r\n\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


class Hold:
    """Holds every batch until it is told to go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, _: NDArray[np.uint8]) -> None:
        """Wait."""
        self.entered.set()
        assert self.go_on.wait(SECONDS)


def post(running: RunningServer, boxes: str = "35,25,71,71") -> httpx.Response:
    return running.client.post("/v1/keypoints", content=PICTURE, params={"boxes": boxes}, headers=PNG)


@pytest.mark.parametrize(
    ("reason", "limits"),
    [
        ("overloaded_requests", {"max_in_flight": 1, "max_images": 1}),
        ("overloaded_crops", {"max_queue": 1, "max_boxes": 1, "max_batch": 1}),
    ],
)
def test_overload_is_refused_at_once_and_says_when_to_come_back(
    start_server: StartServer, reason: str, limits: dict[str, int]
) -> None:
    hold = Hold()
    running = start_server(FakeEngine(hold), **limits)
    with ThreadPoolExecutor(2) as pool:
        accepted = [pool.submit(post, running)]
        assert hold.entered.wait(SECONDS)
        if "max_queue" in limits:
            accepted.append(pool.submit(post, running))
            while "focalpoint_queue_depth 1.0" not in running.metrics():
                pass
        refused = post(running)
        hold.go_on.set()
        assert [request.result().status_code for request in accepted] == [200] * len(accepted)
    check_problem(refused, "overloaded", "may")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["retry_after_ms"] >= 1
    assert post(running).status_code == 200
    assert f'focalpoint_rejected_total{{reason="{reason}"}} 1.0' in running.metrics()


def test_a_deadline_ends_the_wait_and_drops_the_work(start_server: StartServer) -> None:
    hold = Hold()
    engine = FakeEngine(hold)
    running = start_server(engine, deadline_ms=200)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: post(running), range(2)))
    hold.go_on.set()
    for answer in answers:
        check_problem(answer, "deadline-exceeded", "0.2 s")
    assert post(running).status_code == 200


def raising(*errors: BaseException | None) -> Callable[[NDArray[np.uint8]], None]:
    remaining = list(errors)

    def raise_next(_: NDArray[np.uint8]) -> None:
        error = remaining.pop(0) if remaining else None
        if error is not None:
            raise error

    return raise_next


def test_a_failing_model_is_a_500_and_the_next_request_works(start_server: StartServer) -> None:
    running = start_server(FakeEngine(raising(RuntimeError("secret"))))
    answer = post(running)
    check_problem(answer, "internal", "the model failed")
    assert "secret" not in answer.text
    assert post(running).status_code == 200
    assert running.client.get("/readyz").status_code == 200


def test_points_that_are_no_numbers_are_a_failure(start_server: StartServer) -> None:
    engine = FakeEngine()
    running = start_server(engine)
    answer_of = engine.run

    def no_numbers(crops_NHW3: NDArray[np.uint8]) -> EngineOutput:
        return answer_of(crops_NHW3)._replace(points_in_crop_NK2=np.full((1, 3, 2), np.nan, np.float32))

    engine.run = no_numbers  # type: ignore[method-assign]
    check_problem(post(running), "internal", "not finite")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_worker_answers_503_and_is_neither_ready_nor_alive(start_server: StartServer) -> None:
    running = start_server(FakeEngine(raising(KeyboardInterrupt())))
    assert running.client.get("/readyz").text == "ready"
    check_problem(post(running), "not-ready", "died")
    check_problem(running.client.get("/readyz"), "not-ready", "died")
    check_problem(post(running), "not-ready")
    check_problem(running.client.get("/livez"), "not-ready", "died")


def test_a_bug_is_a_500_without_a_word_of_it(start_server: StartServer) -> None:
    running = start_server()
    running.app.state.repository.find().manifest = None
    answer = post(running)
    check_problem(answer, "internal", "unexpected")
    assert "NoneType" not in answer.text
    assert 'focalpoint_requests_total{code="500",route="/v1/keypoints"} 1.0' in running.metrics()


def test_each_problem_of_the_table_is_reached_above() -> None:
    elsewhere = {"not-found", "method-not-allowed", "overloaded", "deadline-exceeded", "internal", "not-ready"}
    elsewhere |= {"unauthorized", "request-timeout", "headers-too-large"}  # in test_http_gate.py, test_connections.py
    elsewhere |= {"conflict", "forbidden", "not-acceptable", "unusable-bundle"}
    assert {slug for slug, _, _ in REFUSED} | elsewhere == set(PROBLEMS)
