"""Load on a running server: closed loops (each connection waits for its answer) and open ones (a fixed rate).

A closed loop finds the peak, but its latencies flatter a server that stalls: nobody asks while it does. In an open loop
requests are due at their time whatever the server does, and a latency counts from when its request was due.
"""

import asyncio
import gc
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

MAX_REQUESTS = 1_000_000
TIMEOUT_SECONDS = 30.0


class Answered(NamedTuple):
    """One request: its status, or the name of the error; times by `time.perf_counter`."""

    status: int | str
    due: float
    sent: float
    done: float


@dataclass
class Load:
    """What became of a load.

    Attributes:
        seconds: from the first request to the last answer.
        answered: every request, in the order of their answers.
    """

    seconds: float = 0.0
    answered: list[Answered] = field(default_factory=list)

    def latencies_ms(self, status: int) -> NDArray[np.float64]:
        """From when a request was due to its answer, of those with this status."""
        return np.array([1000 * (one.done - one.due) for one in self.answered if one.status == status])

    def statuses(self) -> Counter[int | str]:
        """How many requests ended how."""
        return Counter(one.status for one in self.answered)

    def rate(self, status: int = 200) -> float:
        """Answers of this status per second."""
        return self.statuses()[status] / self.seconds

    def lag_ms(self) -> NDArray[np.float64]:
        """How much later than due each request was sent: the generator's own fault."""
        return np.array([1000 * (one.sent - one.due) for one in self.answered])


class Connection:
    """One keep-alive HTTP/1.1 connection; a few lines, so that the generator does not become the bottleneck."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, message: bytes) -> int:
        """Send a whole request and read a whole answer; returns its status."""
        if self._streams is not None and self._streams[0].at_eof():
            self.close()  # the server has closed it meanwhile, as it does with connections that idle
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(message)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head.split(" ", 2)[1])
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        await reader.readexactly(length)
        if "connection: close" in head:
            self.close()
        return status

    def close(self) -> None:
        """Forget the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _ask(connection: Connection, message: bytes, due: float, load: Load) -> bool:
    """Send one request and note what becomes of it; False where the connection broke."""
    sent = time.perf_counter()
    status: int | str
    try:
        status = await asyncio.wait_for(connection.post(message), TIMEOUT_SECONDS)
    except (OSError, EOFError, TimeoutError) as error:
        status = type(error).__name__
        connection.close()
    load.answered.append(Answered(status, due, sent, time.perf_counter()))
    return isinstance(status, int)


async def closed_loop(
    url: str, messages: Sequence[bytes], concurrency: int, seconds: float, max_requests: int = MAX_REQUESTS
) -> Load:
    """Keep `concurrency` requests in flight until the time or the number of requests is over."""
    load, tickets, in_turn = Load(), itertools.count(), itertools.cycle(messages)
    started = time.perf_counter()

    async def connection_loop() -> None:
        connection = Connection(*address(url))
        while time.perf_counter() - started < seconds and next(tickets) < max_requests:
            if not await _ask(connection, next(in_turn), time.perf_counter(), load):
                await asyncio.sleep(0.05)  # a server that is gone is not to be asked a million times
        connection.close()

    await asyncio.gather(*(connection_loop() for _ in range(concurrency)))
    load.seconds = time.perf_counter() - started
    return load


async def open_loop(url: str, messages: Sequence[bytes], rate: float, seconds: float) -> Load:
    """Send `rate` requests a second at even intervals, each on a connection that is free at its time."""
    load, in_turn = Load(), itertools.cycle(messages)
    free: list[Connection] = []
    gc.collect()
    gc.freeze()  # a collection of everything takes a tenth of a second, which would be taken for the server's
    started = time.perf_counter()

    async def one(due: float) -> None:
        connection = free.pop() if free else Connection(*address(url))
        await _ask(connection, next(in_turn), due, load)
        free.append(connection)

    async with asyncio.TaskGroup() as asked:
        for index in range(min(int(rate * seconds), MAX_REQUESTS)):
            due = started + index / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            asked.create_task(one(due))
    load.seconds = time.perf_counter() - started
    for connection in free:
        connection.close()
    return load


def address(url: str) -> tuple[str, int]:
    """Host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or 80


def keypoints_message(url: str, image: bytes, query: str = "") -> bytes:
    """A whole request to `/v1/keypoints` below the URL, as it goes over the wire."""
    host, port = address(url)
    head = (
        f"POST {urlsplit(url).path.rstrip('/')}/v1/keypoints{query} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(image)}\r\n\r\n"
    )
    return head.encode("ascii") + image
