"""The process around the application: uvicorn, its signals, and the admin port."""

import logging
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import uvicorn
from starlette.types import ASGIApp

from service.app import create_app
from service.connections import ConnectionProblem, connection_class
from service.draining_server import AdminServer, DrainingServer
from service.engine import KeypointEngine
from service.errors import EngineDied, InvalidSetting, RequestError, StartupError
from service.image_decoding import silence_native_libraries
from service.model_repository import ModelRepository, load_bundles
from service.settings import Settings
from service.workers.fair_accepting import FairAcceptor
from service.workers.worker_place import WorkerPlace
from service.workers.worker_server import WorkerServer

_logger = logging.getLogger(__name__)


def serve(settings: Settings, load: Callable[[Path], KeypointEngine], place: WorkerPlace | None = None) -> None:
    """Serve until SIGTERM or SIGINT; returns when every accepted request has its answer.

    Args:
        settings: of the server, or of this worker's share in it.
        load: a verified engine from the folder of a bundle.
        place: of a worker among others; None for the only process.

    Raises:
        BundleError: a bundle cannot be used, or there is none.
        StartupError: an address cannot be listened on, or a file of the settings cannot be used.
        EngineDied: the model has died, so that only a new process can serve again.
    """
    hangup = threading.Event()
    if place is None:
        signal.signal(signal.SIGHUP, lambda *_: hangup.set())
    silence_native_libraries()
    cv2.setNumThreads(1)  # the pool's threads are the parallelism; each would start as many again
    rescans = 0.0 if place is None else place.numbers.rescans[place.number]  # before anything is loaded
    app = create_app(settings, load_bundles(settings.model, load), load, place)
    readiness = app.state.readiness
    check_certificate(settings)
    if settings.api_keys is None and (place is None or place.number == 0):
        _logger.warning("API keys are off: whoever reaches %s:%d may ask", settings.host, settings.port)

    def not_ready() -> None:
        readiness.stopping = True

    admin = None
    if settings.admin_port is not None:
        admin_config = _uvicorn_config(settings, app.state.admin, settings.admin_port, app.state.refused)
        admin = AdminServer(admin_config, None if place is None else place.admin_listener)
    delay = settings.drain_delay_ms / 1000
    rescan = partial(_rescan, app.state.repository)
    if place is None:
        config = _uvicorn_config(settings, app, settings.port, app.state.refused)
        server = DrainingServer(config, admin, not_ready, delay, readiness.has_died, rescan, hangup)
        # Before uvicorn's own handlers, and after them: it raises the signal again when it is done, for who was there.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
    else:
        acceptor = FairAcceptor(place.listener, place.numbers, place.number)
        config = _uvicorn_config(settings, app, settings.port, app.state.refused, acceptor.note_open)
        server = WorkerServer(
            config, admin, not_ready, delay, readiness.has_died, rescan, hangup,
            acceptor=acceptor,
            place=place,
            readiness=readiness,
            rescans=rescans,
        )  # fmt: skip
    try:
        server.run()
    except (SystemExit, OSError) as error:
        ports = " and ".join(str(port) for port in (settings.port, settings.admin_port) if port is not None)
        # uvicorn logs what the system says, and then exits while it handles it.
        cause = error if isinstance(error, OSError) else error.__context__
        why = f" ({reason_of(cause)})" if isinstance(cause, OSError) else "; the log says why"
        raise StartupError(f"the server could not start on {settings.host}:{ports}{why}") from error
    if server.stopped_by_death:
        raise EngineDied("the model has died; start the server anew")
    if readiness.cut_off:
        _logger.warning("%d accepted requests were cut off by drain_timeout_ms", readiness.cut_off)
    else:
        _logger.info("every accepted request is answered")


def reason_of(error: OSError) -> str:
    """What the system says of an address that cannot be listened on, without the address."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)


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


def check_certificate(settings: Settings) -> None:
    """Read them once before anything else is made.

    Raises:
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
    settings: Settings,
    app: ASGIApp,
    port: int,
    refused: Callable[[ConnectionProblem], None],
    note_open: Callable[[int], None] = lambda _: None,
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=port,
        http=connection_class(settings.max_connections, settings.slow_connection_ms / 1000, refused, note_open),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=settings.drain_timeout_ms / 1000,  # type: ignore[arg-type] # waits for fractions too
        server_header=False,
        proxy_headers=False,  # nothing here depends on who the client is
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
