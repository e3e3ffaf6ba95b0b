"""The wiring: every part is made here, in the order of the flow, started and stopped."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI

from service import __version__
from service.admission import Admission
from service.api_keys import KeyRing, read_key_file
from service.body_limits import BodyLimits, LimitBodies
from service.direct_route import serve_directly
from service.documentation_routes import documentation_routes
from service.engine import KeypointEngine
from service.errors import InvalidSetting
from service.gate import Gate
from service.loaded_model import BatchLimits, start_model
from service.metrics import Metrics
from service.model_repository import LoadedBundle, ModelRepository
from service.model_threads import cores_of_worker, model_threads
from service.open_inference_routes import open_inference_routes
from service.ordered_threads import OrderedThreads
from service.page_routes import page_paths, page_routes, read_page
from service.paths import PROBE_PATHS
from service.pipeline import ImageLimits, KeypointPipeline
from service.problem_details import answer_errors_with_problems
from service.readiness import Readiness
from service.repository_routes import repository_routes
from service.request_log import RequestLog
from service.routes import keypoint_routes, metrics_routes, model_routes, probe_routes
from service.settings import Settings
from service.unexpected_errors import UnexpectedErrors
from service.workers.gathered_metrics import GatheredMetrics
from service.workers.siblings import Siblings
from service.workers.worker_place import WorkerPlace

_BATCH_PUT_OFF_SECONDS: Final = 0.02


def create_threads(settings: Settings, others_are_idle: Callable[[], bool] = lambda: True) -> OrderedThreads:
    """The threads that decode, crop and run the model; for a GPU, which is to be kept busy, a few more.

    On a CPU a batch can wait while there are pictures to decode: the cores are busy either way.

    Args:
        settings: of the server.
        others_are_idle: whether the other processes of the server have nothing to do.
    """
    decoding = settings.decode_threads or cores_of_worker(settings)
    if settings.provider == "cpu":
        return OrderedThreads(decoding, _BATCH_PUT_OFF_SECONDS, others_are_idle)
    return OrderedThreads(
        decoding + model_threads(settings).batches_at_once, put_off_seconds=0.0, others_are_idle=others_are_idle
    )


def create_pipeline(settings: Settings, threads: OrderedThreads) -> KeypointPipeline:
    """The pipeline as the settings say."""
    return KeypointPipeline(
        ImageLimits(
            max_heatmap_boxes=settings.max_heatmap_boxes,
            max_pixels=settings.max_pixels,
            max_drawn_pixels=settings.max_drawn_pixels,
            max_pixels_in_memory=settings.max_pixels_in_memory,
            allow_tiff=settings.allow_tiff,
            reduced_decoding=settings.reduced_decoding,
        ),
        threads,
    )


def batch_limits(settings: Settings) -> BatchLimits:
    """How each model's crops are batched, as the settings say."""
    return BatchLimits(
        sizes=settings.batch_sizes,
        threads=model_threads(settings),
        max_queue=settings.max_queue,
        stuck_seconds=settings.stuck_ms / 1000,
        drain_seconds=settings.drain_timeout_ms / 1000,
    )


def create_app(
    settings: Settings,
    bundles: Sequence[LoadedBundle],
    load: Callable[[Path], KeypointEngine],
    place: WorkerPlace | None = None,
) -> FastAPI:
    """The application that serves what is loaded; ready once it has started up.

    `app.state.readiness.stopping = True` turns `/readyz` off while everything else goes on. `app.state.admin` is the
    application for the admin port, if there is to be one, and None otherwise.

    Args:
        settings: of the server.
        bundles: what to serve from the start; one at least.
        load: a verified engine from the folder of a bundle, for those that come later.
        place: of a worker among others; None for the only process.

    Raises:
        InvalidSetting: the file of API keys cannot be used, or the default model is not there.
    """
    _check_default(settings.default_model, bundles)
    metrics = Metrics()
    siblings = Siblings(place)
    threads = create_threads(settings, siblings.are_idle)
    pipeline = create_pipeline(settings, threads)
    start = partial(start_model, limits=batch_limits(settings), metrics=metrics, threads=threads)
    repository = ModelRepository(settings.model, load, start, metrics, settings.default_model)
    readiness = Readiness(repository.ready_conditions, repository.conditions)
    admission = Admission(settings.max_in_flight, tell=siblings.tell_in_flight)
    metrics.watch_in_flight(lambda: admission.in_flight)
    keys = _create_key_ring(settings, place)
    gathered = GatheredMetrics(metrics, place)
    longest_seconds = settings.deadline_ms / 1000
    at_start = list(bundles)
    page = read_page() if settings.page else {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with threads:
            repository.start(at_start)
            at_start.clear()  # the repository alone says how long they live
            try:
                async with gathered.told_to_siblings():
                    yield
            finally:
                await repository.close()

    app = FastAPI(
        title="Focalpoint",
        summary="Keypoints of the objects in a picture.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.readiness = readiness
    app.state.repository = repository
    app.state.refused = metrics.rejected
    answer_error = answer_errors_with_problems(app, metrics)
    # The last one added is the outermost.
    serve_directly(
        app,
        keypoint_routes(
            repository,
            pipeline,
            admission,
            metrics,
            max_boxes=settings.max_boxes,
            max_images=settings.max_images,
            images_at_once=_images_at_once(settings),
            longest_seconds=longest_seconds,
        ),
        answer_error,
    )
    app.add_middleware(
        LimitBodies,
        limits=BodyLimits(settings.max_body_bytes, settings.max_buffered_bytes, settings.min_body_bytes_per_second),
    )
    app.add_middleware(
        Gate,
        admission=admission,
        longest_seconds=longest_seconds,
        keys=keys,
        open_paths=PROBE_PATHS | page_paths(page),
        metrics=metrics,
    )
    _add_outer_layers(app, metrics, readiness)
    app.include_router(model_routes(repository))
    app.include_router(probe_routes(readiness))
    app.include_router(
        open_inference_routes(
            repository,
            pipeline,
            admission,
            readiness,
            max_images=settings.max_images,
            images_at_once=_images_at_once(settings),
            longest_seconds=longest_seconds,
        )
    )
    app.include_router(documentation_routes())
    if page:
        app.include_router(page_routes(page))
    app.state.admin = None
    of_metrics = metrics_routes(gathered.exposition)
    of_repository = repository_routes(repository, 1 if place is None else place.workers)
    if settings.admin_port is None:
        app.include_router(of_metrics)
        if keys is not None:  # without keys, whoever may ask for keypoints could take the models away
            app.include_router(of_repository)
    else:
        app.state.admin = _create_admin_app(metrics, readiness, of_metrics, of_repository)
    return app


def _create_admin_app(
    metrics: Metrics, readiness: Readiness, of_metrics: APIRouter, of_repository: APIRouter
) -> FastAPI:
    """Metrics, probes and the repository, for a port that clients do not reach."""
    admin = FastAPI(title="Focalpoint, operation", version=__version__, docs_url=None, redoc_url=None)
    answer_errors_with_problems(admin, metrics)
    _add_outer_layers(admin, metrics, readiness)
    for router in (of_metrics, probe_routes(readiness), of_repository, documentation_routes()):
        admin.include_router(router)
    return admin


def _create_key_ring(settings: Settings, place: WorkerPlace | None) -> KeyRing | None:
    """The keys, if there are any; those of workers are counted together.

    Raises:
        InvalidSetting: the file of API keys cannot be used.
    """
    if place is None:
        return KeyRing(read_key_file(settings.api_keys)) if settings.api_keys else None
    if place.keys is None:
        return None
    return KeyRing(place.keys, fillings=place.buckets.table, lock=place.buckets.locked)


def _images_at_once(settings: Settings) -> int:
    """Images of one request that are worked on at a time: it may take half of the queue."""
    return max(1, settings.max_queue // (2 * settings.max_boxes))


def _check_default(name: str | None, bundles: Sequence[LoadedBundle]) -> None:
    names = sorted({bundle.engine.manifest.name for bundle in bundles})
    if name is not None and name not in names:
        raise InvalidSetting(f"--default-model: expected {' or '.join(names)}, found {name}")


def _add_outer_layers(app: FastAPI, metrics: Metrics, readiness: Readiness) -> None:
    app.add_middleware(UnexpectedErrors, metrics=metrics, readiness=readiness)
    app.add_middleware(RequestLog, metrics=metrics, readiness=readiness)
