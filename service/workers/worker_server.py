"""A worker's server: it takes its connections from a shared socket, says that it is well, and ends with its parent."""

import asyncio
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from service.draining_server import DrainingServer
from service.errors import NotReady
from service.workers.fair_accepting import FairAcceptor
from service.workers.shared_numbers import WorkerNumbers
from service.workers.worker_place import WorkerPlace


class WorkerSockets(NamedTuple):
    """Where a worker takes its connections; all workers have the same sockets, and the numbers to share them by."""

    place: WorkerPlace
    listener: socket.socket
    admin_listener: socket.socket | None

    def acceptor(self) -> FairAcceptor:
        """This worker's hold on the listener."""
        numbers = WorkerNumbers(self.place.folder, self.place.workers)
        return FairAcceptor(self.listener, numbers, self.place.number)


class WorkerServer(DrainingServer):
    """Stops as every server does, and when its parent is gone.

    Args:
        arguments: of `DrainingServer`.
        acceptor: takes the connections.
        place: of this worker.
        check_alive: raises `NotReady` where only a new process could go on; asked ten times a second, and while it does
            not raise, this worker is well.
    """

    def __init__(
        self, *arguments: Any, acceptor: FairAcceptor, place: WorkerPlace, check_alive: Callable[[], None]
    ) -> None:
        super().__init__(*arguments)
        self._acceptor = acceptor
        self._beats = WorkerNumbers(place.folder, place.workers).beats
        self._number = place.number
        self._check_alive = check_alive

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
        parent = multiprocessing.parent_process()
        if parent is not None:
            asyncio.get_running_loop().add_reader(parent.sentinel, self._on_parent_gone, parent.sentinel)

    def _on_parent_gone(self, sentinel: int) -> None:
        asyncio.get_running_loop().remove_reader(sentinel)
        self.handle_exit(signal.SIGTERM, None)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: say that all is well, unless it is not."""
        try:
            self._check_alive()
        except NotReady:
            pass  # the supervisor sees that nothing is said
        else:
            self._beats[self._number] = time.monotonic()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, then finish."""
        await self._acceptor.stop()
        await super().shutdown(sockets)
