"""Limits on connections: whatever a client does or leaves undone, it does not keep its place."""

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes import FakeEngine, draw_discs, encode
from tests.server_process import COMMAND
from tests.service.conftest import RunningServer, StartServer
from tests.service.test_http_problems import SECONDS, Hold

PICTURE = encode(draw_discs())
POST = (
    b"POST /v1/keypoints?boxes=35,25,71,71 HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
)
SLOW_MS = 300


@contextmanager
def connected(running: RunningServer) -> Iterator[socket.socket]:
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=SECONDS) as connection:
        yield connection


def refusals(running: RunningServer, reason: str) -> int:
    found = re.search(rf'focalpoint_rejected_total{{reason="{reason}"}} (\d+)', running.metrics())
    return int(found[1]) if found else 0


def seconds_until_closed(connection: socket.socket) -> float:
    """Read until the server closes; how long that took."""
    started = time.monotonic()
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - started


@pytest.mark.parametrize(
    "sent",
    [
        b"",  # nothing at all
        b"POST /v1/key",  # half a request
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx",  # answered before its body is there
    ],
    ids=["silent", "half", "unread body"],
)
def test_who_does_not_get_on_is_closed(start_server: StartServer, sent: bytes) -> None:
    running = start_server(slow_connection_ms=SLOW_MS)
    with connected(running) as connection:
        connection.sendall(sent)
        assert SLOW_MS / 1000 - 0.1 < seconds_until_closed(connection) < 3
    assert refusals(running, "slow_connection") == 1


def test_a_byte_that_is_no_second_request_buys_no_time(start_server: StartServer) -> None:
    running = start_server(slow_connection_ms=SLOW_MS)
    with connected(running) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"\n")
        assert SLOW_MS / 1000 - 0.1 < seconds_until_closed(connection) < 3


def test_bytes_in_between_buy_no_time(start_server: StartServer) -> None:
    running = start_server(slow_connection_ms=SLOW_MS)
    with connected(running) as connection:
        connection.sendall(b"POST /v1/keypoints HTTP/1.1\r\n")

        def trickle() -> None:
            try:
                for _ in range(100):
                    connection.sendall(b"a")
                    time.sleep(0.05)
            except OSError:
                pass  # closed, as it should be

        trickling = threading.Thread(target=trickle)
        trickling.start()
        assert seconds_until_closed(connection) < 3
        trickling.join(SECONDS)


def test_a_connection_that_works_lives_on(start_server: StartServer) -> None:
    running = start_server(slow_connection_ms=SLOW_MS)
    with connected(running) as connection:
        for _ in range(3):
            connection.sendall(POST % len(PICTURE))
            time.sleep(1.5 * SLOW_MS / 1000)  # a body has a pace of its own
            connection.sendall(PICTURE)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
            time.sleep(0.5 * SLOW_MS / 1000)
    assert refusals(running, "slow_connection") == 0


@pytest.mark.parametrize("head", [b"X-Large: ", b"A: b\r\n", b"GET /"], ids=["one value", "many headers", "address"])
def test_headers_have_a_limit(start_server: StartServer, head: bytes) -> None:
    running = start_server()
    with connected(running) as connection:
        if head.startswith(b"GET"):
            connection.sendall(head + b"x" * 70_000)
        else:
            connection.sendall(
                b"GET /livez HTTP/1.1\r\n" + (head * 20_000 if head.endswith(b"\n") else head + b"x" * 70_000)
            )
        answer = connection.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["type"] == "headers-too-large"
    assert refusals(running, "header_size") == 1


def test_trailers_count_as_headers(start_server: StartServer) -> None:
    running = start_server()
    with connected(running) as connection:
        connection.sendall(
            b"POST /v1/keypoints HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
        )
        for _ in range(1000):
            try:
                connection.sendall(b"A: b\r\n" * 1000)
            except OSError:  # a reset or a broken pipe, whichever comes first
                break
            time.sleep(0.001)
        else:
            pytest.fail("seven megabytes of trailers were taken")
    assert refusals(running, "header_size") == 1


def test_what_is_not_http_is_told_so(start_server: StartServer) -> None:
    running = start_server()
    with connected(running) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["type"] == "bad-request"
    assert refusals(running, "malformed") == 1


def test_one_connection_too_many_is_refused(start_server: StartServer) -> None:
    running = start_server(max_connections=3)
    running.client.get("/livez")  # the first one, kept alive
    with connected(running), connected(running), connected(running) as fourth:
        assert fourth.recv(4096).startswith(b"HTTP/1.1 503 ")
    assert refusals(running, "connections") == 1


def test_a_client_that_hangs_up_is_nobodys_fault(start_server: StartServer, caplog: pytest.LogCaptureFixture) -> None:
    running = start_server()
    with connected(running) as connection:
        connection.sendall(POST % 1000 + b"abc")
    wanted = 'focalpoint_requests_total{code="499",route="/v1/keypoints"} 1.0'
    give_up = time.monotonic() + SECONDS
    while wanted not in running.metrics():
        assert time.monotonic() < give_up
    assert 'code="500"' not in running.metrics()
    assert "Traceback" not in caplog.text


def test_hanging_up_on_pipelined_requests_drops_the_first_too(start_server: StartServer) -> None:
    hold = Hold()
    running = start_server(FakeEngine(hold))
    try:
        with connected(running) as connection:
            connection.sendall(POST % len(PICTURE) + PICTURE + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert hold.entered.wait(SECONDS)
        give_up = time.monotonic() + SECONDS
        while "focalpoint_in_flight_images 0.0" not in running.metrics():
            assert time.monotonic() < give_up
    finally:
        hold.go_on.set()


def test_a_certificate_that_cannot_be_used_is_one_sentence(bundle: Path, tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing.pem")
    ended = subprocess.run(
        [*COMMAND, str(bundle), "--port", "0", "--tls-certificate", nothing, "--tls-key", nothing],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(
        f"focalpoint: {nothing} and {nothing} are no certificate and its key"
    )
    assert "Traceback" not in ended.stderr
