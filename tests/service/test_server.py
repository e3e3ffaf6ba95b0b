"""The process: it serves a bundle, drains on SIGTERM and exits with 0; what stops it from starting is one sentence."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.fakes import draw_discs, encode

SECONDS = 60
COMMAND = [sys.executable, "-m", "service", "serve"]
PNG = {"Content-Type": "image/png"}


@contextmanager
def serving(bundle: Path, *flags: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process and its address; killed at the end if it still runs."""
    process = subprocess.Popen(
        [*COMMAND, str(bundle), "--port", "0", *flags],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"running on (http://\S+)", line):
                yield process, found[1]
                break
        else:
            pytest.fail("the server did not start")
    finally:
        process.kill()
        process.communicate()


def test_sigterm_finishes_what_is_in_flight_and_exits_with_0(bundle: Path) -> None:
    with (
        serving(bundle, "--drain-delay-ms", "600") as (process, url),
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        assert client.get("/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        while client.get("/readyz").status_code == 200:
            time.sleep(0.01)
        # Not ready, and still serving: a balancer that has not looked yet loses nothing.
        answers: list[int] = []
        body_goes_on = threading.Event()

        def slow_body() -> Iterator[bytes]:
            picture = encode(draw_discs())
            yield picture[:100]
            body_goes_on.wait(SECONDS)
            yield picture[100:]

        slow = threading.Thread(
            target=lambda: answers.append(client.post("/v1/keypoints", content=slow_body(), headers=PNG).status_code)
        )
        slow.start()
        assert client.post("/v1/keypoints", content=encode(draw_discs()), headers=PNG).status_code == 200
        time.sleep(1.0)  # longer than the delay: the server has stopped listening, and waits for the slow one
        host, port = url.removeprefix("http://").split(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)))
        body_goes_on.set()
        slow.join(SECONDS)
        assert answers == [200]
        assert process.wait(SECONDS) == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "sentence"),
    [
        (["nowhere"], {}, 1, "nowhere is not a bundle: manifest.json cannot be read"),
        (["--provider", "tpu"], {}, 2, "--provider: Input should be 'cpu' or 'cuda', found 'tpu'"),
        ([], {"FOCALPOINT_PORT": "http"}, 2, "FOCALPOINT_PORT: Input should be a valid integer"),
    ],
)
def test_what_stops_the_start_is_one_sentence(
    arguments: list[str], environment: dict[str, str], code: int, sentence: str
) -> None:
    ended = subprocess.run(
        [*COMMAND, *arguments], check=False, capture_output=True, text=True, timeout=SECONDS,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert ended.returncode == code
    assert ended.stderr.startswith(f"focalpoint: {sentence}")
    assert ended.stderr.count("\n") == 1


def test_a_port_in_use_is_one_sentence(bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*COMMAND, str(bundle), "--port", port], check=False, capture_output=True, text=True, timeout=SECONDS
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"focalpoint: the server could not start on 127.0.0.1:{port}")
    assert "Traceback" not in ended.stderr
