"""What a worker process runs."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from service.contract.bundle_manifest import BundleError
from service.engine import KeypointEngine
from service.errors import ServiceError, StartupError
from service.logs import configure_logging
from service.process_memory import limit_malloc_arenas
from service.server import serve
from service.settings import Settings
from service.workers.worker_server import WorkerSockets

# A limit, and what it must not be less than: one request has to fit.
_SHARED_LIMITS = MappingProxyType(
    {
        "max_in_flight": "max_images",
        "max_queue": "max_boxes",
        "max_buffered_bytes": "max_body_bytes",
        "max_pixels_in_memory": "max_pixels",
        "max_connections": None,
    }
)


def settings_of_worker(settings: Settings) -> Settings:
    """The settings with a worker's share of what is shared out; the largest request that is allowed still fits."""
    shares = {
        limit: max(1 if least is None else getattr(settings, least), getattr(settings, limit) // settings.workers)
        for limit, least in _SHARED_LIMITS.items()
    }
    return settings.model_copy(update=shares)


def run_worker(settings: Settings, load: Callable[[Path], KeypointEngine], sockets: WorkerSockets) -> None:
    """Serve until SIGTERM, or until the supervisor is gone; what goes wrong is left in a file for it to tell.

    Args:
        settings: of all workers.
        load: a verified engine from the folder of a bundle.
        sockets: shared by all workers.

    Raises:
        SystemExit: with the exit code of what went wrong.
    """
    os.setpgid(0, 0)  # Ctrl+C is the supervisor's, which says it to all
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    limit_malloc_arenas()
    configure_logging(settings.log_level, settings.log_format, sockets.place.number)
    try:
        serve(settings_of_worker(settings), load, sockets)
    except (ServiceError, BundleError) as error:
        sockets.place.failure_file.write_text(str(error), encoding="utf-8")
        sys.exit(error.exit_code if isinstance(error, StartupError) else 1)
