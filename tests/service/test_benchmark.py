"""The load generator of deploy/ against a real server."""

import asyncio
import json
import socket
from pathlib import Path

import pytest

from deploy import benchmark
from tests.service.conftest import RunningServer, StartServer


def test_it_counts_every_answer(server: RunningServer) -> None:
    level = asyncio.run(benchmark.load(server.url, [benchmark.drawn_picture()], 3, seconds=20, max_requests=12))
    report = level.report()
    assert report["requests"] == 12
    assert not report["errors"]
    assert 0 < report["p50_ms"] <= report["p90_ms"] <= report["p99_ms"] <= report["max_ms"]
    assert report["requests_per_second"] == pytest.approx(12 / level.seconds, abs=0.01)


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
    level = asyncio.run(benchmark.load(running.url, [bytes(200)], 2, seconds=20, max_requests=4))
    assert level.report()["errors"] == {"413": 4}
    picture = tmp_path / "large.jpg"
    picture.write_bytes(bytes(200))
    assert (
        benchmark.main(["--url", running.url, "--image", str(picture), "--concurrency", "1", "--seconds", "0.1"]) == 1
    )


def test_nobody_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    level = asyncio.run(benchmark.load(f"http://127.0.0.1:{port}", [b""], 1, seconds=0.1))
    assert set(level.errors) == {"ConnectionRefusedError"}
