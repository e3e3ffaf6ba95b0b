"""Several callers, and what becomes of a client whose caller goes away."""

import asyncio
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.client import (
    AsyncClient,
    Client,
    ConnectionFailed,
    RequestRefused,
)
from tests.fakes import CENTRES, draw_discs
from tests.service.client.asking import PICTURE
from tests.service.client.scripted_server import HANG, keypoints, scripted
from tests.service.conftest import RunningServer

THREADS = 8


def test_threads_share_a_client_and_keep_their_answers(server: RunningServer) -> None:
    def places(thread: int) -> list[float]:
        shifts = [(thread, call) for call in range(6)]
        return [
            float(np.abs(client.keypoints(draw_discs(CENTRES + shift)).instances[0].keypoints - CENTRES - shift).max())
            for shift in shifts
        ]

    with Client(server.url, trust_env=False) as client, ThreadPoolExecutor(THREADS) as pool:
        errors = [error for found in pool.map(places, range(THREADS)) for error in found]
    assert len(errors) == 6 * THREADS
    assert max(errors) < 0.5  # another thread's picture would be off by 1 or more


def test_a_cancelled_call_closes_its_connection_and_harms_no_other() -> None:
    async def main() -> int:
        with scripted(HANG, keypoints()) as server:
            async with AsyncClient(server.url, trust_env=False) as client:
                call = asyncio.create_task(client.keypoints(PICTURE))
                while not server.asked:
                    await asyncio.sleep(0.005)
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                assert await asyncio.to_thread(server.closed_by_client.wait, 5)
                assert (await client.keypoints(PICTURE)).tries == 1
            return server.connections

    assert asyncio.run(main()) == 2


@pytest.fixture
def heeds_interrupts() -> Iterator[None]:
    """As in a terminal; a process that was started in the background ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_interrupts")
def test_an_interrupted_call_closes_its_connection_and_the_client_goes_on() -> None:
    with scripted(HANG, keypoints()) as server, Client(server.url, trust_env=False) as client:

        def interrupt() -> None:
            while not server.asked:
                time.sleep(0.005)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            client.keypoints(PICTURE)
        thread.join()
        assert server.closed_by_client.wait(5)
        assert client.keypoints(PICTURE).tries == 1


def test_a_client_that_is_closed_ends_the_calls_that_wait() -> None:
    with scripted(HANG) as server, Client(server.url, trust_env=False) as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.keypoints, PICTURE)
        while not server.asked:
            time.sleep(0.005)
        client.close()
        with pytest.raises(ConnectionFailed, match="the client was closed"):
            waiting.result(5)
        with pytest.raises(RuntimeError, match="the client is closed"):
            client.keypoints(PICTURE)


def test_a_client_that_nobody_closes_leaves_neither_thread_nor_connection() -> None:
    def names() -> list[str]:
        return [thread.name for thread in threading.enumerate()]

    before = names().count("focalpoint-client")
    with scripted(keypoints()) as server:
        client = Client(server.url, trust_env=False)
        client.keypoints(PICTURE)
        assert names().count("focalpoint-client") == before + 1
        del client
        gc.collect()
        give_up = time.monotonic() + 5
        while names().count("focalpoint-client") > before:
            assert time.monotonic() < give_up
            time.sleep(0.005)
        gc.collect()  # what is unclosed warns now, and warnings are errors


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own() -> None:
    with scripted(keypoints()) as server, Client(server.url, trust_env=False, deadline_ms=5000) as client:
        client.keypoints(PICTURE)
        child = os.fork()
        if not child:
            os._exit(int(client.keypoints(PICTURE).tries != 1))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.keypoints(PICTURE).tries == 1
        assert server.connections == 2


def test_errors_pass_between_processes() -> None:
    error = RequestRefused("no", "id", 2, status=422, type="t", title="u", detail="v", retry_after_seconds=1.5)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is RequestRefused
    assert (str(copy), vars(copy)) == ("no", vars(error))


def test_importing_the_client_brings_no_server() -> None:
    code = "import sys, service.client; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"onnxruntime", "fastapi", "starlette", "uvicorn", "torch", "prometheus_client"} & set(
        ran.stdout.split()
    )
