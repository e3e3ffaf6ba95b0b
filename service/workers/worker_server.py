"""A worker's server: it takes its connections from a shared socket, says that it is well, and does as it is told.

What it is told, to stop or to look at the folder of bundles, stands in shared memory. Signals are for the supervisor
alone: a terminal and some managers send theirs to every process, and a second one would mean another thing.
"""

import asyncio
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from service.draining_server import DrainingServer
from service.errors import NotReady
from service.readiness import Readiness
from service.workers.fair_accepting import FairAcceptor
from service.workers.worker_place import WorkerPlace

_TOUCH_SECONDS = 0.1


SUPERVISORS_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def ignore_signals() -> None:
    """Leave signals to the supervisor, which starts a worker with its own blocked."""
    for number in SUPERVISORS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SUPERVISORS_SIGNALS)
    # What is away from its terminal may be stopped for writing to it (`stty tostop`).
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)


class WorkerServer(DrainingServer):
    """Stops as every server does, when the supervisor says so or is gone.

    Args:
        arguments: of `DrainingServer`.
        acceptor: takes the connections.
        place: of this worker.
        readiness: asked all the time. Where only a new process could go on, this worker does not say that it is
            well; where it is not ready, it wants no connections.
        rescans: of what the models that are served were loaded after.
    """

    def __init__(
        self, *arguments: Any, acceptor: FairAcceptor, place: WorkerPlace, readiness: Readiness, rescans: float
    ) -> None:
        super().__init__(*arguments)
        self._acceptor = acceptor
        self._numbers = place.numbers
        self._number = place.number
        self._readiness = readiness
        self._rescans = rescans
        self._stops = self._interrupts = 0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are the supervisor's."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections once everything else is up."""
        await super().startup(sockets or [])
        config, state = self.config, self.server_state

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=state, app_state=self.lifespan.state
            )
            return made

        self._acceptor.start(protocol, config.ssl)
        self._touch = asyncio.create_task(self._keep_in_touch())
        parent = multiprocessing.parent_process()
        if parent is not None:
            asyncio.get_running_loop().add_reader(parent.sentinel, self._on_parent_gone, parent.sentinel)

    def _on_parent_gone(self, sentinel: int) -> None:
        asyncio.get_running_loop().remove_reader(sentinel)
        self.handle_exit(signal.SIGTERM, None)

    async def _keep_in_touch(self) -> None:
        """Ten times a second, to the very end: do what it is told, and say how it is."""
        numbers, own = self._numbers, self._number
        while True:
            while self._stops < numbers.stops[own]:
                self._stops += 1
                is_interrupt = self._interrupts < numbers.interrupts[own]
                self._interrupts += is_interrupt
                self.handle_exit(signal.SIGINT if is_interrupt else signal.SIGTERM, None)
            if self._rescans < numbers.rescans[own]:
                self._rescans = numbers.rescans[own]
                self._hangup.set()
            self._acceptor.want(_holds(self._readiness.check_ready))
            if _holds(self._readiness.check_alive):
                numbers.beats[own] = time.monotonic()
            await asyncio.sleep(_TOUCH_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, then finish."""
        await self._acceptor.stop()
        await super().shutdown(sockets)
        self._touch.cancel()


def _holds(check: Callable[[], None]) -> bool:
    try:
        check()
    except NotReady:
        return False
    return True
