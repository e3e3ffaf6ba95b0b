"""What is decided before the body is read, and what every answer says: keys, pace, ids, times, model."""

import json
import logging
import re
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from service import body_limits
from service.api_keys import new_key
from tests.fakes import FakeEngine, draw_discs, encode
from tests.service.conftest import RunningServer, StartServer
from tests.service.test_http_problems import PNG, SECONDS, Hold, check_problem

PICTURE = encode(draw_discs())
STAGES = ["read", "decode_image", "crop", "queue", "infer", "back_transform", "encode_response", "total"]


def post(running: RunningServer, **headers: str) -> httpx.Response:
    return running.client.post("/v1/keypoints", content=PICTURE, headers={**PNG, **headers})


def test_every_answer_says_who_gave_it_and_where_its_time_went(server: RunningServer) -> None:
    answer = post(server, **{"X-Request-ID": "my-id.1"})
    assert answer.headers["x-request-id"] == "my-id.1"
    assert answer.headers["x-batch-size"] == "1"
    timings = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["server-timing"]))
    assert list(timings) == STAGES
    milliseconds = {stage: float(text) for stage, text in timings.items()}
    assert sum(milliseconds.values()) - milliseconds["total"] <= milliseconds["total"] + 0.1
    failed = server.client.post("/v1/keypoints", content=PICTURE[:-40], headers=PNG)
    for other in (answer, failed):
        assert other.headers["x-model-name"] == "discs"
        assert other.headers["x-model-version"] == "1.2.3"
        assert other.headers["x-model-sha256"] == "0" * 64
    for other in (
        server.client.get("/nowhere"),
        server.client.get("/livez"),
        server.client.post("/v1/keypoints"),
    ):
        assert not [name for name in other.headers if name.startswith("x-model")]  # none was chosen
        assert other.headers["x-request-id"]
    assert post(server).headers["x-request-id"] != post(server).headers["x-request-id"]


def test_a_request_leaves_one_line_that_says_nothing_of_its_content(
    start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "focalpoint.requests")
    running = start_server()
    running.client.post("/v1/keypoints?boxes=12,13,71,71", content=PICTURE, headers={**PNG, "X-Request-ID": "one"})
    running.client.post("/v1/keypoints", files={"file": ("secret-name.png", PICTURE[:-40])})
    running.client.get("/secret-path")
    running.client.get("/livez")
    lines = [record for record in caplog.records if record.name == "focalpoint.requests"]
    fields = [vars(record) for record in lines]
    assert [(line["route"], line["code"]) for line in fields] == [
        ("/v1/keypoints", 200), ("/v1/keypoints", 422), ("unknown", 404),
    ]  # fmt: skip
    assert fields[0]["request_id"] == "one"
    assert fields[0]["batch_size"] == 1
    assert (fields[0]["model"], fields[0]["model_version"]) == ("discs", "1.2.3")
    assert list(fields[0]["stage_milliseconds"]) == STAGES[:-1]
    assert fields[1]["problem"] == "unprocessable-image"
    assert "secret" not in caplog.text
    assert "12,13" not in caplog.text


@pytest.fixture
def guarded(start_server: StartServer, tmp_path: Path) -> tuple[RunningServer, str]:
    """A server that knows one key, which may ask twice a second, and the key."""
    key, sha256 = new_key()
    path = tmp_path / "keys.toml"
    path.write_text(
        f'[[key]]\nname = "tester"\nsha256 = "{sha256}"\nimages_per_second = 0.5\nburst = 3\n', encoding="utf-8"
    )
    return start_server(api_keys=path), key


def test_without_its_key_a_request_is_refused_before_its_body_is_read(guarded: tuple[RunningServer, str]) -> None:
    running, key = guarded
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {key}"}):
        answer = running.client.get("/v1/models", headers=headers)
        check_problem(answer, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    check_problem(running.client.get("/metrics"), "unauthorized")
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        connection.sendall(b"POST /v1/keypoints HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")
    assert running.client.get("/livez").status_code == running.client.get("/readyz").status_code == 200
    assert running.client.get("/v1/models", headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_a_key_has_its_rate(guarded: tuple[RunningServer, str]) -> None:
    running, key = guarded
    bearer = {"Authorization": f"Bearer {key}"}
    assert post(running, **bearer).status_code == 200
    batch = running.client.post("/v1/keypoints:batch", files=[("file", PICTURE)] * 2, headers=bearer)
    assert batch.status_code == 200
    refused = post(running, **bearer)
    check_problem(refused, "overloaded", "tester", "0.5 images per second")
    assert int(refused.headers["retry-after"]) in {1, 2}
    metrics = running.client.get("/metrics", headers=bearer).text
    assert 'focalpoint_rejected_total{reason="overloaded_key_rate"} 1.0' in metrics


def test_several_pictures_each_have_their_answer_or_their_problem(server: RunningServer) -> None:
    shifted = encode(draw_discs()[:, ::-1].copy())
    files = [("file", PICTURE), ("file", b"GIF89a"), ("file", shifted), ("file", PICTURE[:-40])]
    answer = server.client.post(
        "/v1/keypoints:batch", files=files, data={"boxes": "[[[35,25,71,71]], null, null, null]"}
    )
    assert answer.status_code == 200
    first, second, third, fourth = answer.json()["results"]
    assert first["instances"][0]["box"] == [35, 25, 71, 71]
    assert [point["x"] for point in first["instances"][0]["keypoints"]] == pytest.approx([40, 100, 70], abs=0.5)
    assert (second["type"], second["status"]) == ("unsupported-media-type", 415)
    assert [point["x"] for point in third["instances"][0]["keypoints"]] == pytest.approx([119, 59, 89], abs=0.5)
    assert (fourth["type"], fourth["status"]) == ("unprocessable-image", 422)
    as_json = server.client.post("/v1/keypoints:batch", json={"images": [{"image": "aGk="}]})
    assert as_json.json()["results"][0]["type"] == "unsupported-media-type"


def test_a_body_that_trickles_is_ended(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limits, "_GRACE_SECONDS", 0.2)
    running = start_server(min_body_bytes_per_second=1000)
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        connection.sendall(
            b"POST /v1/keypoints HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 9999\r\n\r\n"
        )
        started = time.monotonic()
        connection.sendall(b"x" * 300)  # buys three tenths of a second
        answer = connection.recv(4096)
        assert 0.4 < time.monotonic() - started < 2
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["detail"].startswith(
        "expected at least 1000 bytes a second, found 300 bytes in"
    )
    assert b"connection: close" in answer.lower()


def test_all_bodies_together_have_a_bound(start_server: StartServer) -> None:
    running = start_server(max_buffered_bytes=100_000, max_body_bytes=80_000)
    host, port = running.url.removeprefix("http://").split(":")
    head = b"POST /v1/keypoints HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 70000\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=SECONDS) as one:
        one.sendall(head + bytes(60_000))
        time.sleep(0.2)
        refused = running.client.post("/v1/keypoints", content=bytes(70_000), headers=PNG)
        check_problem(refused, "overloaded", "100000 bytes")
    time.sleep(0.2)  # the other one has hung up
    assert running.client.post("/v1/keypoints", content=bytes(70_000), headers=PNG).status_code == 415


def test_the_deadline_header(start_server: StartServer) -> None:
    hold = Hold()
    running = start_server(FakeEngine(hold))
    check_problem(post(running, **{"X-Deadline-Ms": "soon"}), "invalid-parameter", "X-Deadline-Ms")
    check_problem(post(running, **{"X-Deadline-Ms": "150"}), "deadline-exceeded", "0.15 s")
    hold.go_on.set()
    assert post(running, **{"X-Deadline-Ms": "5000"}).status_code == 200


def test_the_log_is_json(capfd: pytest.CaptureFixture[str]) -> None:
    from service.logs import configure_logging  # noqa: PLC0415 - only here

    root = logging.getLogger()
    kept: list[Any] = root.handlers[:]
    level = root.level
    root.handlers.clear()
    try:
        configure_logging("info", "json")
        logging.getLogger("some.logger").info("told %d", 7, extra={"request_id": "one"})
        for handler in root.handlers:
            handler.flush()
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
    line = json.loads(capfd.readouterr().err)
    assert (line["level"], line["logger"], line["message"], line["request_id"]) == (
        "INFO",
        "some.logger",
        "told 7",
        "one",
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", line["time"])
