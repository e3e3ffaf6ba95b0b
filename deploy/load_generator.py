"""Load on a running server: closed loops (each connection waits for its answer) and open ones (a fixed rate).

A closed loop finds the peak, but its latencies flatter a server that stalls: nobody asks while it does. In an open loop
requests are due at their time whatever the server does, and a latency counts from when its request was due.
"""

import asyncio
import gc
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

import numpy as np
from generator_priority import before_all_others
from numpy.typing import NDArray

MAX_REQUESTS = 1_000_000
TIMEOUT_SECONDS = 30.0
_LONGEST_SLEEP = 0.05  # then it is asked whether to stop

Result = TypeVar("Result")


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
        real_time: whether the system let the generator go before all others, where that matters.
    """

    seconds: float = 0.0
    answered: list[Answered] = field(default_factory=list)
    real_time: bool = False

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


class _Exchange(asyncio.Protocol):
    """The wire of a connection: one answer at a time, its body counted and thrown away."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[tuple[int, bool]] | None = None
        self.lost = False
        self._head = b""
        self._status, self._missing, self._closes = 0, -1, False  # -1: the head is not complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has the methods, not the base class

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = b""
            lines = head.lower()
            self._status = int(lines.split(b" ", 2)[1])
            self._missing = int(lines.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            self._closes = b"connection: close" in lines
            data = body
        self._missing -= len(data)
        if self._missing <= 0:
            self._missing = -1
            if self.answer is not None and not self.answer.done():
                self.answer.set_result((self._status, self._closes))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(exc or EOFError("the server closed the connection"))


class Connection:
    """One keep-alive HTTP/1.1 connection; a few lines, so that the generator does not become the bottleneck."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._exchange: _Exchange | None = None

    async def post(self, message: bytes) -> int:
        """Send a whole request and read a whole answer; returns its status.

        Raises:
            OSError, EOFError, TimeoutError: there is no answer.
        """
        if self._exchange is not None and self._exchange.lost:
            self._exchange = None  # the server has closed it meanwhile, as it does with connections that idle
        loop = asyncio.get_running_loop()
        if self._exchange is None:
            _, self._exchange = await loop.create_connection(_Exchange, self._host, self._port)
        exchange = self._exchange
        assert exchange.transport is not None, "it is connected"
        exchange.answer = answer = loop.create_future()
        too_late = loop.call_later(TIMEOUT_SECONDS, _give_up, answer)
        try:
            exchange.transport.write(message)
            status: int
            status, closes = await answer
        finally:
            too_late.cancel()
        if closes:
            self.close()
        return status

    def close(self) -> None:
        """Forget the connection; the next request opens another."""
        if self._exchange is not None and self._exchange.transport is not None:
            self._exchange.answer = None
            self._exchange.transport.close()
        self._exchange = None


def _give_up(answer: "asyncio.Future[tuple[int, bool]]") -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


async def _ask(connection: Connection, message: bytes, due: float | None, load: Load) -> bool:
    """Send one request, due now where no time is given, and note its end; False where the connection broke."""
    sent = time.perf_counter()
    status: int | str
    try:
        status = await connection.post(message)
    except (OSError, EOFError) as error:  # TimeoutError is an OSError
        status = type(error).__name__
        connection.close()
    load.answered.append(Answered(status, sent if due is None else due, sent, time.perf_counter()))
    return isinstance(status, int)


async def closed_loop(
    url: str,
    messages: Sequence[bytes],
    concurrency: int,
    seconds: float,
    max_requests: int = MAX_REQUESTS,
    *,
    load: Load | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Load:
    """Keep `concurrency` requests in flight until the time or the number of requests is over, or `stop` says so.

    Args:
        url: of the server.
        messages: whole requests, sent in turn.
        concurrency: connections.
        seconds: how long new requests are sent.
        max_requests: how many are sent at most.
        load: where the answers are noted as they come, for whoever wants to look meanwhile.
        stop: asked before each request.
    """
    load = load or Load()
    tickets, in_turn = itertools.count(), itertools.cycle(messages)
    started = time.perf_counter()

    async def connection_loop() -> None:
        connection = Connection(*address(url))
        while time.perf_counter() - started < seconds and not stop() and next(tickets) < max_requests:
            if not await _ask(connection, next(in_turn), None, load):
                await asyncio.sleep(0.05)  # a server that is gone is not to be asked a million times
        connection.close()

    await asyncio.gather(*(connection_loop() for _ in range(concurrency)))
    load.seconds = time.perf_counter() - started
    return load


def constant_arrivals(rate: float, seconds: float) -> NDArray[np.float64]:
    """When requests are due, in seconds from the start: at even intervals."""
    return np.arange(min(int(rate * seconds), MAX_REQUESTS)) / rate


def poisson_arrivals(rate: float, seconds: float) -> NDArray[np.float64]:
    """When requests are due where many clients know nothing of each other: exponential intervals, the same each run."""
    intervals = np.random.default_rng(0).exponential(1 / rate, min(int(rate * seconds), MAX_REQUESTS))
    return np.asarray(intervals.cumsum(), np.float64)


ARRIVALS: dict[str, Callable[[float, float], NDArray[np.float64]]] = {
    "constant": constant_arrivals,
    "poisson": poisson_arrivals,
}


async def open_loop(
    url: str,
    messages: Sequence[bytes],
    rate: float,
    seconds: float,
    *,
    arrivals: str = "constant",
    connections: int = MAX_REQUESTS,
    load: Load | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Load:
    """Send `rate` requests a second, each on a connection that is free at its time, whatever the server does.

    Where fewer `connections` are allowed than are needed, requests go out late. That is what many generators do, and
    why a latency must count from when the request was due.

    Args:
        url: of the server.
        messages: whole requests, sent in turn.
        rate: requests per second.
        seconds: how long new requests are sent.
        arrivals: one of `ARRIVALS`.
        connections: at most.
        load, stop: as for `closed_loop`.
    """
    load = load or Load()
    in_turn = itertools.cycle(messages)
    free: list[Connection] = []
    asked: set[asyncio.Task[None]] = set()
    all_sent = asyncio.Event()
    loop = asyncio.get_running_loop()
    gc.collect()
    gc.freeze()  # a collection of everything takes a tenth of a second, which would be taken for the server's
    started = time.perf_counter()

    places = asyncio.Semaphore(connections)

    async def one(due: float) -> None:
        async with places:
            connection = free.pop() if free else Connection(*address(url))
            await _ask(connection, next(in_turn), due, load)
            free.append(connection)

    def send(due: float) -> None:
        task = loop.create_task(one(due))
        asked.add(task)
        task.add_done_callback(asked.discard)

    def keep_time() -> None:
        """In a thread of its own: the timers of an event loop tick in milliseconds, which is late already."""
        for offset in ARRIVALS[arrivals](rate, seconds):
            due = started + float(offset)
            while (wait := due - time.perf_counter()) > 0 and not stop():
                time.sleep(min(wait, _LONGEST_SLEEP))
            if stop():
                break
            loop.call_soon_threadsafe(send, due)
        loop.call_soon_threadsafe(all_sent.set)

    with before_all_others() as load.real_time:
        clock = threading.Thread(target=keep_time, name="open-loop", daemon=True)
        clock.start()
        await all_sent.wait()
        clock.join()
        while asked:
            await asyncio.wait(asked)
    load.seconds = time.perf_counter() - started
    gc.unfreeze()
    for connection in free:
        connection.close()
    return load


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run` on the faster event loop where it is installed, which it is beside the service on Linux."""
    try:
        import uvloop  # noqa: PLC0415 - not on every system
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


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
