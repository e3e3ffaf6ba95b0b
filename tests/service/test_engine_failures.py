"""An engine that raises, hangs or dies, behind a real server: everybody gets an answer, and the probes do not lie."""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes import FakeEngine, draw_discs, encode
from tests.server_process import serving
from tests.service.conftest import RunningServer, StartServer

PICTURE: dict[str, Any] = {"content": encode(draw_discs()), "headers": {"Content-Type": "image/png"}}
WITH_BOX: dict[str, Any] = {**PICTURE, "params": {"boxes": "35,25,71,71"}}
SECONDS = 10


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def status(running: RunningServer, path: str) -> int:
    return running.client.get(path).status_code


class Switch:
    """A `before_run` that does nothing, until told otherwise."""

    def __init__(self) -> None:
        self.act: Callable[[], object] = lambda: None

    def __call__(self, _: NDArray[np.uint8]) -> None:
        """Before each forward pass."""
        self.act()


def fail() -> None:
    raise MemoryError("no memory")


def test_an_engine_that_raises(start_server: StartServer) -> None:
    switch = Switch()
    running = start_server(FakeEngine(before_run=switch))
    switch.act = fail
    for _ in range(3):
        assert status(running, "/readyz") == 200  # one bad batch says nothing yet
        answer = running.client.post("/v1/keypoints", **WITH_BOX)
        assert (answer.status_code, answer.json()["type"]) == (500, "internal")
        assert "memory" not in answer.text
    wait_until(lambda: status(running, "/readyz") == 503)
    assert running.client.get("/readyz").json()["detail"] == "the model fails on every batch"
    assert status(running, "/livez") == 200  # it may come back by itself
    switch.act = lambda: None
    wait_until(lambda: status(running, "/readyz") == 200)  # found out without any request
    assert running.client.post("/v1/keypoints", **WITH_BOX).status_code == 200


def test_an_engine_that_fails_on_one_crop_fails_its_sender_alone(start_server: StartServer) -> None:
    dark, entered, go = encode(np.zeros((120, 160, 3), np.uint8)), threading.Semaphore(0), threading.Event()

    def refuse_the_dark(crops_NHW3: NDArray[np.uint8]) -> None:
        if not (crops_NHW3.reshape(len(crops_NHW3), -1).max(axis=1) > 0).all():
            raise ValueError("dark")
        entered.release()
        assert go.wait(SECONDS)

    engine = FakeEngine()
    running = start_server(engine, max_batch=4)
    engine.before_run = refuse_the_dark
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(running.client.post, "/v1/keypoints", **WITH_BOX)
        assert entered.acquire(timeout=SECONDS)
        good = [pool.submit(running.client.post, "/v1/keypoints", **WITH_BOX) for _ in range(2)]
        bad = pool.submit(running.client.post, "/v1/keypoints", **{**WITH_BOX, "content": dark})
        wait_until(lambda: "focalpoint_queue_depth 3.0" in running.metrics())
        go.set()
        assert [answer.result(SECONDS).status_code for answer in (first, *good, bad)] == [200, 200, 200, 500]


def test_an_engine_that_hangs(start_server: StartServer) -> None:
    switch, go_on = Switch(), threading.Event()
    running = start_server(FakeEngine(before_run=switch), stuck_ms=300, max_batch=1)
    switch.act = lambda: go_on.wait(SECONDS)
    with ThreadPoolExecutor(3) as pool:
        started = time.monotonic()
        waiting = [pool.submit(running.client.post, "/v1/keypoints", **WITH_BOX) for _ in range(3)]
        answers = [answer.result(SECONDS) for answer in waiting]
    assert time.monotonic() - started < 2
    assert {(answer.status_code, answer.json()["type"]) for answer in answers} == {(503, "not-ready")}
    assert status(running, "/readyz") == status(running, "/livez") == 503
    assert running.client.get("/livez").json()["detail"] == "the model does not come back from a batch"
    assert running.client.post("/v1/keypoints", **WITH_BOX).status_code == 503  # at once, not after another wait
    switch.act = lambda: None
    go_on.set()
    wait_until(lambda: status(running, "/readyz") == status(running, "/livez") == 200)
    assert running.client.post("/v1/keypoints", **WITH_BOX).status_code == 200


def test_a_deadline_ends_the_wait_for_an_engine_that_hangs(start_server: StartServer) -> None:
    switch, go_on = Switch(), threading.Event()
    running = start_server(FakeEngine(before_run=switch))
    switch.act = lambda: go_on.wait(SECONDS)
    started = time.monotonic()
    answer = running.client.post(
        "/v1/keypoints", **{**WITH_BOX, "headers": {**WITH_BOX["headers"], "X-Deadline-Ms": "200"}}
    )
    assert (answer.status_code, answer.json()["type"]) == (504, "deadline-exceeded")
    assert 0.2 <= time.monotonic() - started < 1
    go_on.set()


@pytest.mark.parametrize("number", [signal.SIGSTOP])
def test_a_process_that_is_stopped_and_goes_on_loses_nothing(bundle: Path, number: int) -> None:
    with serving(bundle) as server, server.client() as client, ThreadPoolExecutor(1) as pool:
        os.kill(server.process.pid, number)
        answer = pool.submit(client.post, "/v1/keypoints", **WITH_BOX)
        time.sleep(0.5)
        os.kill(server.process.pid, signal.SIGCONT)
        assert answer.result(SECONDS).status_code == 200
