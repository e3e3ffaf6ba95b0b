"""Taking connections off a socket that several processes listen on: whoever has the fewest is to take the next.

Without this the worker that wakes first takes all that have come. As clients keep their connections, it would have all
the work.
"""

import asyncio
import logging
import select
import socket
import ssl
import time
from collections.abc import Callable

from service.workers.shared_numbers import WorkerNumbers

_logger = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 0.002
_MOST_LOOKS = 10  # at a connection that a sibling is to take, before it is taken after all
_SILENT_SECONDS = 1.0  # a sibling that has not said for so long that it is well is not waited for
_PAUSE_SECONDS = 1.0  # where there are no file descriptors left
_OPENING_SECONDS = 0.5  # at the end, for connections whose handshake is not done


class FairAcceptor:
    """One worker's hold on the shared socket; for one event loop.

    Args:
        listener: it listens, and does not block.
        numbers: of all workers.
        number: of this worker.
    """

    def __init__(self, listener: socket.socket, numbers: WorkerNumbers, number: int) -> None:
        self._listener = listener
        self._numbers = numbers
        self._number = number
        self._open = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._looks = 0
        self._later: asyncio.TimerHandle | None = None
        self._wanting = False
        self._stopped = False

    def start(self, protocol: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None) -> None:
        """Take connections from now on.

        Args:
            protocol: makes the protocol of a connection.
            tls: None for plain connections.
        """
        self._protocol, self._tls = protocol, tls
        self._loop = asyncio.get_running_loop()
        self._wanting = True
        self._publish()
        self._listen()

    async def stop(self) -> None:
        """Take no more, and give those that are being opened a moment."""
        self.want(False)
        self._stopped = True
        self._pause()
        self._listener.close()
        if self._opening:
            _, slow = await asyncio.wait(self._opening, timeout=_OPENING_SECONDS)
            for opening in slow:
                opening.cancel()

    def want(self, wanting: bool) -> None:
        """Whether connections should come here; if not, they still do where no sibling that is well wants any."""
        self._wanting = wanting and not self._stopped
        self._publish()

    def note_open(self, count: int) -> None:
        """So many connections are open now."""
        self._open = count
        self._publish()

    def _publish(self) -> None:
        count = self._open + len(self._opening) if self._wanting else float("inf")
        self._numbers.connections[self._number] = count

    def _listen(self) -> None:
        self._later = None
        self._looks = 0
        self._loop.add_reader(self._listener, self._take_or_leave)

    def _pause(self) -> None:
        self._loop.remove_reader(self._listener)
        if self._later is not None:
            self._later.cancel()

    def _take_or_leave(self) -> None:
        if self._has_fewest() or (self._wanting and self._looks >= _MOST_LOOKS):
            self._take()
            return
        # It stays readable until somebody has taken the connection; to be told so again and again would be to spin.
        self._pause()
        self._looks += 1
        self._later = self._loop.call_later(_LOOK_AGAIN_SECONDS, self._look_again)

    def _has_fewest(self) -> bool:
        """Of those that are well."""
        own = self._numbers.connections[self._number]
        fewer = self._numbers.connections < own
        return not bool((fewer & (self._numbers.beats > time.monotonic() - _SILENT_SECONDS)).any())

    def _look_again(self) -> None:
        waiting = select.poll()
        waiting.register(self._listener, select.POLLIN)
        if waiting.poll(0):
            self._take_or_leave()
        else:
            self._listen()

    def _take(self) -> None:
        self._pause()
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            self._listen()  # a sibling was faster, or the client has gone
            return
        except OSError as error:
            _logger.error("a connection cannot be taken (%s); the next try is in %g s", error, _PAUSE_SECONDS)
            self._later = self._loop.call_later(_PAUSE_SECONDS, self._listen)
            return
        connection.setblocking(False)
        opening = self._loop.create_task(self._open_connection(connection))
        self._opening.add(opening)
        opening.add_done_callback(self._on_opened)
        self._publish()
        self._listen()

    async def _open_connection(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection, ssl=self._tls)
        except OSError as error:  # TLS that the client cannot or will not speak is one, too
            connection.close()
            _logger.debug("a connection was not opened: %s", error)
        except asyncio.CancelledError:
            connection.close()
            raise

    def _on_opened(self, opening: "asyncio.Task[None]") -> None:
        self._opening.discard(opening)
        self._publish()
