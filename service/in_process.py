"""A model and its pipeline in this process, without HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.app import create_pipeline, create_threads
from service.engine import KeypointEngine
from service.loaded_model import BatchLimits, LoadedModel, start_model
from service.metrics import Metrics
from service.pipeline import KeypointPipeline
from service.settings import Settings


@contextmanager
def in_process(
    settings: Settings, engine: KeypointEngine, limits: BatchLimits
) -> Iterator[tuple[KeypointPipeline, LoadedModel]]:
    """Both, warm, until the block ends."""
    with create_threads(settings) as threads:
        model = start_model(engine, settings.model, limits, Metrics(), threads)
        try:
            yield create_pipeline(settings, threads), model
        finally:
            model.close()
