"""The load generator of deploy/ against a real server."""

import asyncio
import json
import socket
import time
from pathlib import Path

import benchmark
import numpy as np
import pytest
from load_generator import closed_loop, keypoints_message, open_loop

from tests.fakes import FakeEngine, draw_discs, encode
from tests.service.conftest import RunningServer, StartServer


def test_it_counts_every_answer(server: RunningServer) -> None:
    messages = [keypoints_message(server.url, benchmark.drawn_picture())]
    load = asyncio.run(closed_loop(server.url, messages, 3, seconds=20, max_requests=12))
    report = benchmark.report(3, load)
    assert report["requests"] == 12
    assert not report["errors"]
    assert 0 < report["p50_ms"] <= report["p90_ms"] <= report["p99_ms"] <= report["max_ms"]
    assert report["requests_per_second"] == pytest.approx(12 / load.seconds, abs=0.01)


def test_it_ends_with_the_time_and_writes_what_it_found(
    server: RunningServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    options = ["--url", server.url, "--concurrency", "1,2", "--seconds", "0.2", "--json", str(file)]
    assert benchmark.main(options) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3
    assert printed[0].split()[:3] == ["concurrency", "requests", "requests_per_second"]
    levels = json.loads(file.read_text(encoding="utf-8"))["levels"]
    assert [level["concurrency"] for level in levels] == [1, 2]


def test_errors_are_counted_and_fail_the_run(start_server: StartServer, tmp_path: Path) -> None:
    running = start_server(max_body_bytes=100)
    load = asyncio.run(closed_loop(running.url, [keypoints_message(running.url, bytes(200))], 2, 20, max_requests=4))
    assert benchmark.report(2, load)["errors"] == {"413": 4}
    picture = tmp_path / "large.jpg"
    picture.write_bytes(bytes(200))
    assert (
        benchmark.main(["--url", running.url, "--image", str(picture), "--concurrency", "1", "--seconds", "0.1"]) == 1
    )


def test_nobody_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    load = asyncio.run(closed_loop(f"http://127.0.0.1:{port}", [b""], 1, seconds=0.1))
    assert set(load.statuses()) == {"ConnectionRefusedError"}


def test_an_open_loop_keeps_its_rate_and_counts_from_when_a_request_was_due(start_server: StartServer) -> None:
    running = start_server(FakeEngine(before_run=lambda _: time.sleep(0.05)), max_batch=1)
    message = keypoints_message(running.url, encode(draw_discs()), "?boxes=35,25,71,71")
    load = asyncio.run(open_loop(running.url, [message], rate=40, seconds=1))
    assert load.statuses() == {200: 40}
    due = sorted(one.due for one in load.answered)
    assert [later - due[0] for later in due] == pytest.approx([index / 40 for index in range(40)])
    assert np.median(load.lag_ms()) < 20
    # Half of what is asked can be done: the last one waits about a second, although it was sent in time.
    assert load.latencies_ms(200).max() > 700
