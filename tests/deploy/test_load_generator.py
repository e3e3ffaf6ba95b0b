"""The load generator of deploy/ against a real server."""

import asyncio
import socket
import time

import numpy as np
import pytest
from benchmark_pictures import Picture
from load_generator import (
    Answered,
    Connection,
    Load,
    address,
    closed_loop,
    constant_arrivals,
    keypoints_message,
    open_loop,
    poisson_arrivals,
    run,
)

from tests.fakes import FakeEngine, draw_discs, encode
from tests.service.conftest import running_server

DISCS = Picture("discs", encode(draw_discs()), ((35, 25, 71, 71),))


def test_a_closed_loop_counts_every_answer() -> None:
    with running_server(FakeEngine()) as server:
        load = run(closed_loop(server.url, [keypoints_message(server.url, DISCS.data)], 3, seconds=20, max_requests=12))
    assert load.statuses() == {200: 12}
    assert all(one.due == one.sent < one.done for one in load.answered)
    assert load.rate() == pytest.approx(12 / load.seconds)


def test_it_ends_when_it_is_told_to() -> None:
    load = Load()
    with running_server(FakeEngine()) as server:
        messages = [keypoints_message(server.url, DISCS.data)]
        run(closed_loop(server.url, messages, 2, 20, load=load, stop=lambda: len(load.answered) >= 5))
        assert 5 <= len(load.answered) <= 6
        run(open_loop(server.url, messages, 50, 20, load=load, stop=lambda: len(load.answered) >= 10))
    assert 10 <= len(load.answered) <= 15


def test_answers_that_are_no_success_have_their_status() -> None:
    with running_server(FakeEngine(), max_body_bytes=100) as server:
        load = run(closed_loop(server.url, [keypoints_message(server.url, bytes(200))], 2, 20, max_requests=4))
    assert load.statuses() == {413: 4}


def test_nobody_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    load = run(closed_loop(f"http://127.0.0.1:{port}", [b""], 1, seconds=0.1))
    assert set(load.statuses()) == {"ConnectionRefusedError"}


@pytest.mark.parametrize(
    "answers",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 429 Slow\r\ncontent-length: 0\r\nConnection: close\r\n\r\n",
    ],
)
def test_an_answer_may_come_in_any_pieces(answers: bytes) -> None:
    async def scenario() -> list[int]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while await reader.read(1):
                for byte in answers:
                    writer.write(bytes([byte]))
                    await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        connection = Connection(*server.sockets[0].getsockname())
        found = [await connection.post(b"?"), await connection.post(b"?")]
        connection.close()
        async with server:
            await asyncio.sleep(0.05)  # the other end closes too
        return found

    status = int(answers.split(b" ")[1])
    assert asyncio.run(scenario()) == [status, status]


def test_an_open_loop_keeps_its_rate_and_counts_from_when_a_request_was_due() -> None:
    with running_server(FakeEngine(before_run=lambda _: time.sleep(0.05)), max_batch=1) as server:
        message = keypoints_message(server.url, DISCS.data, DISCS.query)
        load = run(open_loop(server.url, [message], rate=40, seconds=1))
    assert load.statuses() == {200: 40}
    due = sorted(one.due for one in load.answered)
    assert [later - due[0] for later in due] == pytest.approx([index / 40 for index in range(40)])
    assert np.median(load.lag_ms()) < 20
    # Half of what is asked can be done: the last one waits about a second, although it was sent in time.
    assert load.latencies_ms(200).max() > 700


def test_arrivals() -> None:
    assert constant_arrivals(4, 1).tolist() == [0, 0.25, 0.5, 0.75]
    intervals = np.diff(poisson_arrivals(50, 200))
    # Exponential intervals: their standard deviation is their mean.
    assert intervals.mean() == pytest.approx(1 / 50, rel=0.05)
    assert intervals.std() == pytest.approx(1 / 50, rel=0.05)
    assert (poisson_arrivals(50, 200) == poisson_arrivals(50, 200)).all()


def test_a_load_says_how_late_it_was() -> None:
    load = Load(1.0, [Answered(200, due=1.0, sent=1.25, done=1.5), Answered(503, due=2.0, sent=2.0, done=2.5)])
    assert load.lag_ms().tolist() == [250, 0]
    assert load.latencies_ms(200).tolist() == [500]
    assert load.rate() == 1


def test_addresses() -> None:
    assert address("http://somewhere:81/below") == ("somewhere", 81)
    assert address("http://somewhere") == ("somewhere", 80)
