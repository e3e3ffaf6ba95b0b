"""What a worker process runs."""

import os
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
from service.workers.worker_place import WorkerPlace
from service.workers.worker_server import ignore_signals

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

_LONGEST_SENTENCE = 1000  # so that it is written at once, and never mixed with another worker's


def settings_of_worker(settings: Settings) -> Settings:
    """The settings with a worker's share of what is shared out; the largest request that is allowed still fits."""
    shares = {
        limit: max(1 if least is None else getattr(settings, least), getattr(settings, limit) // settings.workers)
        for limit, least in _SHARED_LIMITS.items()
    }
    return settings.model_copy(update=shares)


def run_worker(settings: Settings, load: Callable[[Path], KeypointEngine], place: WorkerPlace) -> None:
    """Serve until the supervisor says so, or is gone; it is told what goes wrong.

    Args:
        settings: of all workers.
        load: a verified engine from the folder of a bundle.
        place: among the workers.

    Raises:
        SystemExit: with the exit code of what went wrong.
    """
    ignore_signals()
    os.setpgid(0, 0)  # away from what a terminal sends
    limit_malloc_arenas()
    configure_logging(settings.log_level, settings.log_format, place.number)
    try:
        serve(settings_of_worker(settings), load, place)
    except (ServiceError, BundleError) as error:
        place.failure.send((place.number, str(error)[:_LONGEST_SENTENCE]))
        sys.exit(error.exit_code if isinstance(error, StartupError) else 1)
