"""The process around the application: uvicorn, its signals and the drain."""

import logging
import signal
import time
from collections.abc import Callable
from types import FrameType

import cv2
import uvicorn

from service.app import create_app
from service.engine import KeypointEngine
from service.errors import StartupError
from service.settings import Settings

_logger = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """Stops in steps: not ready, still serving for a while, no new connections, what is in flight ends, exit.

    Args:
        config: uvicorn's.
        not_ready: called on the first signal.
        drain_delay_seconds: how long to go on serving after it.
    """

    def __init__(self, config: uvicorn.Config, not_ready: Callable[[], None], drain_delay_seconds: float) -> None:
        super().__init__(config)
        self._not_ready = not_ready
        self._drain_delay_seconds = drain_delay_seconds
        self._exit_at: float | None = None

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
        return await super().on_tick(counter)


def serve(settings: Settings, engine: KeypointEngine) -> None:
    """Serve until SIGTERM or SIGINT; returns when every accepted request has its answer.

    Raises:
        StartupError: the address cannot be listened on.
    """
    cv2.setNumThreads(1)  # the pool's threads are the parallelism; each would start as many again
    app = create_app(settings, engine)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=max(1, settings.drain_timeout_ms // 1000),
        server_header=False,
    )

    def not_ready() -> None:
        app.state.readiness.stopping = True

    server = DrainingServer(config, not_ready, settings.drain_delay_ms / 1000)
    # uvicorn raises the signal again when it is done, for whoever had a handler; having stopped as asked is success.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    try:
        server.run()
    except SystemExit as error:
        raise StartupError(
            f"the server could not start on {settings.host}:{settings.port}; the log says why"
        ) from error
    _logger.info("every accepted request is answered")
