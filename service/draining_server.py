"""uvicorn's server with a drain in steps, and the second one for the admin port."""

import asyncio
import gc
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn


class DrainingServer(uvicorn.Server):
    """Stops in steps: not ready, still serving for a while, no new connections, what is in flight ends, exit.

    Args:
        config: uvicorn's.
        admin: a second server that starts after this one and stops after it, so that probes see the drain.
        not_ready: called on the first signal.
        drain_delay_seconds: how long to go on serving after it.
        is_dead: asked ten times a second; once it says yes, the server stops too.
        rescan: started when `hangup` is set.
        hangup: set by SIGHUP, also by one that comes before the server is up.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        admin: uvicorn.Server | None,
        not_ready: Callable[[], None],
        drain_delay_seconds: float,
        is_dead: Callable[[], bool],
        rescan: Callable[[], Coroutine[Any, Any, object]],
        hangup: threading.Event,
    ) -> None:
        super().__init__(config)
        self._admin = admin
        self._not_ready = not_ready
        self._drain_delay_seconds = drain_delay_seconds
        self._is_dead = is_dead
        self._rescan = rescan
        self._hangup = hangup
        self._rescanning: set[asyncio.Task[object]] = set()
        self._exit_at: float | None = None
        self._admin_serving: asyncio.Task[None] | None = None
        self.stopped_by_death = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The signal handler; a second signal ends the delay, a third (Ctrl+C) waits for nothing."""
        if self._exit_at is None and self._drain_delay_seconds:
            self._not_ready()
            self._exit_at = time.monotonic() + self._drain_delay_seconds
        else:
            self._not_ready()
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to stop."""
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        if self._hangup.is_set():
            self._hangup.clear()
            self._start_rescan()
        if not self.should_exit and self._is_dead():
            self._not_ready()
            self.should_exit = self.stopped_by_death = True
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then let the admin server listen."""
        await super().startup(sockets)
        # What is there now stays until the end. Left to the collector, it is gone through again and again, a tenth of a
        # second each time, in which nobody is answered.
        gc.collect()
        gc.freeze()
        if self._admin is not None:
            self._admin_serving = asyncio.create_task(self._admin.serve())

    def _start_rescan(self) -> None:
        task = asyncio.create_task(self._rescan())
        self._rescanning.add(task)
        task.add_done_callback(self._rescanning.discard)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Finish, then let the admin server finish."""
        await super().shutdown(sockets)
        if self._admin is not None and self._admin_serving is not None:
            self._admin.should_exit = True
            await self._admin_serving


class AdminServer(uvicorn.Server):
    """Lives within another server's loop.

    Args:
        config: uvicorn's.
        listener: a socket that listens; None to listen where the configuration says.
    """

    def __init__(self, config: uvicorn.Config, listener: socket.socket | None) -> None:
        super().__init__(config)
        self._listeners = None if listener is None else [listener]

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit`."""
        await super().serve(sockets or self._listeners)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are the main server's."""
        yield
