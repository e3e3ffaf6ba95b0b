"""The process around the application: uvicorn, its signals, the drain, and the admin port."""

import asyncio
import gc
import logging
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import cv2
import uvicorn
from starlette.types import ASGIApp

from service.app import create_app
from service.connections import ConnectionProblem, connection_class
from service.engine import KeypointEngine
from service.errors import EngineDied, InvalidSetting, RequestError, StartupError
from service.image_decoding import silence_native_libraries
from service.model_repository import ModelRepository, load_bundles
from service.settings import Settings

_logger = logging.getLogger(__name__)


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


class _AdminServer(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The signals are the main server's."""
        yield


def serve(settings: Settings, load: Callable[[Path], KeypointEngine]) -> None:
    """Serve until SIGTERM or SIGINT; returns when every accepted request has its answer.

    Args:
        settings: of the server.
        load: a verified engine from the folder of a bundle.

    Raises:
        BundleError: a bundle cannot be used, or there is none.
        StartupError: an address cannot be listened on, or a file of the settings cannot be used.
        EngineDied: the model has died, so that only a new process can serve again.
    """
    hangup = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: hangup.set())
    silence_native_libraries()
    cv2.setNumThreads(1)  # the pool's threads are the parallelism; each would start as many again
    app = create_app(settings, load_bundles(settings.model, load), load)
    readiness = app.state.readiness
    _check_certificate(settings)
    if settings.api_keys is None:
        _logger.warning("API keys are off: whoever reaches %s:%d may ask", settings.host, settings.port)

    def not_ready() -> None:
        readiness.stopping = True

    admin = None
    if settings.admin_port is not None:
        admin = _AdminServer(_uvicorn_config(settings, app.state.admin, settings.admin_port, app.state.refused))
    config = _uvicorn_config(settings, app, settings.port, app.state.refused)
    delay = settings.drain_delay_ms / 1000
    rescan = partial(_rescan, app.state.repository)
    server = DrainingServer(config, admin, not_ready, delay, readiness.has_died, rescan, hangup)
    # uvicorn raises the signal again when it is done, for whoever had a handler; having stopped as asked is success.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        server.run()
    except (SystemExit, OSError) as error:
        ports = " and ".join(str(port) for port in (settings.port, settings.admin_port) if port is not None)
        # uvicorn logs what the system says, and then exits while it handles it.
        cause = error if isinstance(error, OSError) else error.__context__
        errno = cause.errno if isinstance(cause, OSError) else None
        why = "; the log says why" if errno is None else f" ({os.strerror(errno)})"
        raise StartupError(f"the server could not start on {settings.host}:{ports}{why}") from error
    if server.stopped_by_death:
        raise EngineDied("the model has died; start the server anew")
    if readiness.cut_off:
        _logger.warning("%d accepted requests were cut off by drain_timeout_ms", readiness.cut_off)
    else:
        _logger.info("every accepted request is answered")


async def _rescan(repository: ModelRepository) -> None:
    """What nobody reads as an answer goes into the log."""
    try:
        report = await repository.rescan()
    except RequestError as error:
        _logger.warning("rescan: %s", error)
        return
    _logger.info(
        "rescan: %d loaded, %d unloaded, %d refused", len(report.loaded), len(report.unloaded), len(report.refused)
    )


def _check_certificate(settings: Settings) -> None:
    """Raises:
    InvalidSetting: certificate and key cannot be used.
    """
    if settings.tls_certificate is not None and settings.tls_key is not None:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                settings.tls_certificate, settings.tls_key
            )
        except (OSError, ssl.SSLError) as error:
            found = error.strerror or str(error)
            raise InvalidSetting(
                f"{settings.tls_certificate} and {settings.tls_key} are no certificate and its key ({found})"
            ) from error


def _uvicorn_config(
    settings: Settings, app: ASGIApp, port: int, refused: Callable[[ConnectionProblem], None]
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=port,
        http=connection_class(settings.max_connections, settings.slow_connection_ms / 1000, refused),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=settings.drain_timeout_ms / 1000,  # type: ignore[arg-type] # waits for fractions too
        server_header=False,
        proxy_headers=False,  # nothing here depends on who the client is
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
