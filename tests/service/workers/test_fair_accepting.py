"""Connections go to whoever has the fewest, and to the others where that one does not take them."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Iterator

import numpy as np
import pytest

from service.workers.fair_accepting import FairAcceptor
from service.workers.shared_numbers import WorkerNumbers

WORKERS = 3


class Worker:
    """An acceptor, and the connections that it has."""

    def __init__(self, listener: socket.socket, numbers: WorkerNumbers, number: int) -> None:
        self.open: set[asyncio.BaseTransport] = set()
        self.acceptor = FairAcceptor(listener.dup(), numbers, number)
        numbers.beats[number] = time.monotonic() + 60  # it is well, and stays so

    def start(self, tls: ssl.SSLContext | None = None) -> None:
        self.acceptor.start(lambda: Connection(self), tls)

    def changed(self) -> None:
        self.acceptor.note_open(len(self.open))


class Connection(asyncio.Protocol):
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._worker.open.add(transport)
        self._worker.changed()

    def connection_lost(self, _error: Exception | None) -> None:
        self._worker.open.discard(self._transport)
        self._worker.changed()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


async def until(worked: int, workers: list[Worker]) -> None:
    async with asyncio.timeout(10):
        while sum(len(worker.open) for worker in workers) != worked:
            await asyncio.sleep(0.005)


def test_connections_that_come_at_once_are_shared_evenly(listener: socket.socket) -> None:
    async def scenario() -> None:
        numbers = WorkerNumbers(WORKERS)
        workers = [Worker(listener, numbers, number) for number in range(WORKERS)]
        for worker in workers:
            worker.start()
        clients = [socket.create_connection(listener.getsockname()) for _ in range(30)]
        await until(30, workers)
        assert [len(worker.open) for worker in workers] == [10, 10, 10]
        assert numbers.connections.tolist() == [10, 10, 10]
        # Those of the second leave; whoever comes now is for it.
        ports = {client.getsockname()[1]: client for client in clients}
        for transport in workers[1].open:
            ports[transport.get_extra_info("peername")[1]].close()
        await until(20, workers)
        clients += [socket.create_connection(listener.getsockname()) for _ in range(10)]
        await until(30, workers)
        assert [len(worker.open) for worker in workers] == [10, 10, 10]
        for worker in workers:
            await worker.acceptor.stop()
        assert np.isinf(numbers.connections).all()
        for client in clients:
            client.close()
        await until(0, workers)
        assert np.isinf(numbers.connections).all()  # what ends after the stop does not call for more

    asyncio.run(scenario())


def test_a_worker_that_hangs_or_is_not_there_keeps_nobody_waiting(listener: socket.socket) -> None:
    async def scenario() -> None:
        numbers = WorkerNumbers(WORKERS)
        numbers.connections[2] = 0  # it has the fewest, says that it is well, and takes nothing
        numbers.beats[2] = time.monotonic() + 60
        workers = [Worker(listener, numbers, number) for number in (0, 1)]
        for worker in workers:
            worker.start()
        clients = [socket.create_connection(listener.getsockname()) for _ in range(6)]
        await until(6, workers)
        numbers.connections[2] = np.inf  # it is not there any more
        clients += [socket.create_connection(listener.getsockname()) for _ in range(20)]
        await until(26, workers)
        assert abs(len(workers[0].open) - len(workers[1].open)) <= 6
        for worker in workers:
            await worker.acceptor.stop()
        for client in clients:
            client.close()
        await until(0, workers)

    asyncio.run(scenario())


def test_a_worker_that_is_silent_or_wants_none_is_not_waited_for(listener: socket.socket) -> None:
    async def scenario() -> None:
        numbers = WorkerNumbers(WORKERS)
        workers = [Worker(listener, numbers, number) for number in (0, 1)]
        for worker in workers:
            worker.start()
        numbers.connections[2] = 0
        numbers.beats[2] = time.monotonic() - 2
        workers[1].acceptor.want(False)
        clients = []
        started = time.monotonic()
        for count in range(1, 41):  # one after the other: each would be waited for
            clients.append(socket.create_connection(listener.getsockname()))
            await until(count, workers)
        assert time.monotonic() - started < 40 * 0.02
        assert [len(worker.open) for worker in workers] == [40, 0]
        workers[0].acceptor.want(False)
        clients.append(socket.create_connection(listener.getsockname()))
        await until(41, workers)  # where nobody wants any, they are taken all the same
        for worker in workers:
            await worker.acceptor.stop()
        for client in clients:
            client.close()
        await until(0, workers)

    asyncio.run(scenario())


def test_a_worker_that_wants_none_takes_none_while_another_one_is_busy(listener: socket.socket) -> None:
    async def scenario() -> None:
        numbers = WorkerNumbers(WORKERS)
        numbers.connections[1], numbers.beats[1] = 50, time.monotonic() + 60  # it will come to it
        worker = Worker(listener, numbers, 0)
        worker.start()
        worker.acceptor.want(False)
        with socket.create_connection(listener.getsockname()):
            await asyncio.sleep(0.2)
            assert not worker.open
            numbers.beats[1] = time.monotonic() - 2  # it will not
            await until(1, [worker])
        await worker.acceptor.stop()
        await until(0, [worker])

    asyncio.run(scenario())


def test_a_handshake_that_never_ends_does_not_keep_the_stop(listener: socket.socket) -> None:
    async def scenario() -> None:
        worker = Worker(listener, WorkerNumbers(WORKERS), 0)
        worker.start(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
        with socket.create_connection(listener.getsockname()) as client:
            while not worker.acceptor._opening:
                await asyncio.sleep(0.005)
            async with asyncio.timeout(5):
                await worker.acceptor.stop()
            await asyncio.sleep(0.01)
            assert not worker.acceptor._opening
            client.settimeout(5)
            assert client.recv(1) == b""

    asyncio.run(scenario())


def test_without_file_descriptors_it_tries_again_later(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.workers.fair_accepting._PAUSE_SECONDS", 0.05)

    class Exhausted(socket.socket):
        left = 2

        def accept(self) -> tuple[socket.socket, object]:
            if self.left:
                self.left -= 1
                raise OSError(24, "Too many open files")
            return super().accept()

        def dup(self) -> "Exhausted":
            return self

    async def scenario() -> None:
        numbers = WorkerNumbers(WORKERS)
        exhausted = Exhausted(listener.family, listener.type, 0, listener.detach())
        worker = Worker(exhausted, numbers, 0)
        worker.start()
        with socket.create_connection(exhausted.getsockname()):
            await until(1, [worker])
            await worker.acceptor.stop()
        await until(0, [worker])

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert [record.message for record in caplog.records] == [
        "a connection cannot be taken ([Errno 24] Too many open files); the next try is in 0.05 s"
    ] * 2
