"""A client that hangs up: its crops never reach the model."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from tests.fakes import FakeEngine, draw_discs, encode
from tests.service.conftest import StartServer

SECONDS = 20
PICTURE = encode(draw_discs())


def test_what_nobody_waits_for_is_not_done(start_server: StartServer) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def hold(_: NDArray[np.uint8]) -> None:
        entered.set()
        assert go_on.wait(SECONDS)

    engine = FakeEngine(hold)
    running = start_server(engine)
    host, port = running.url.removeprefix("http://").split(":")
    request = (
        b"POST /v1/keypoints?boxes=35,25,71,71 HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
        b"Content-Length: " + str(len(PICTURE)).encode("ascii") + b"\r\n\r\n" + PICTURE
    )
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(
            running.client.post,
            "/v1/keypoints?boxes=35,25,71,71",
            content=PICTURE,
            headers={"Content-Type": "image/png"},
        )
        assert entered.wait(SECONDS)
        with socket.create_connection((host, int(port))) as impatient:
            impatient.sendall(request)
            while "focalpoint_queue_depth 1.0" not in running.metrics():
                pass
        while 'code="499"' not in running.metrics():
            pass
        go_on.set()
        assert patient.result().status_code == 200
    assert engine.batch_sizes == [1]
