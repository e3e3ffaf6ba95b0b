"""The wiring: every part is made here, in the order of the flow, started and stopped."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from service import __version__
from service.admission import Admission
from service.api_keys import KeyRing, read_key_file
from service.body_limits import BodyLimits, LimitBodies
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.engine import KeypointEngine
from service.gate import Gate
from service.metrics import Metrics
from service.pipeline import KeypointPipeline, PipelineLimits
from service.problem_details import answer_errors_with_problems
from service.readiness import Readiness
from service.request_log import RequestLog
from service.routes import keypoint_routes, metrics_routes, model_routes, probe_routes
from service.schemas import describe_model
from service.settings import Settings, usable_cores
from service.unexpected_errors import UnexpectedErrors


def create_metrics(engine: KeypointEngine) -> Metrics:
    """The metrics of a server with this engine."""
    manifest = engine.manifest
    return Metrics(manifest.name, manifest.version, manifest.sha256.get(MODEL_FILE, ""), engine.provider)


def create_pipeline(settings: Settings, engine: KeypointEngine, metrics: Metrics) -> KeypointPipeline:
    """The pipeline as the settings say; not started."""
    limits = PipelineLimits(
        batch_sizes=settings.batch_sizes,
        max_queue=settings.max_queue,
        max_pixels=settings.max_pixels,
        max_pixels_in_memory=settings.max_pixels_in_memory,
        allow_tiff=settings.allow_tiff,
        decode_threads=settings.decode_threads or usable_cores(),
        stuck_seconds=settings.stuck_ms / 1000,
        drain_seconds=settings.drain_timeout_ms / 1000,
    )
    return KeypointPipeline(engine, metrics, limits)


def create_app(settings: Settings, engine: KeypointEngine) -> FastAPI:
    """The application that serves one loaded engine; ready once it has started up.

    `app.state.readiness.stopping = True` turns `/readyz` off while everything else goes on. `app.state.admin` is the
    application for the admin port, if there is to be one, and None otherwise.

    Raises:
        InvalidSetting: the file of API keys cannot be used.
    """
    metrics = create_metrics(engine)
    pipeline = create_pipeline(settings, engine, metrics)
    readiness = Readiness(lambda: pipeline.batcher.condition)
    admission = Admission(settings.max_in_flight)
    metrics.watch_in_flight(lambda: admission.in_flight)
    keys = KeyRing(read_key_file(settings.api_keys)) if settings.api_keys else None
    longest_seconds = settings.deadline_ms / 1000

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with pipeline:
            yield

    app = FastAPI(
        title="Focalpoint",
        summary="Keypoints of the objects in a picture.",
        version=__version__,
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.readiness = readiness
    # The last one added is the outermost.
    limits = BodyLimits(settings.max_body_bytes, settings.max_buffered_bytes, settings.min_body_bytes_per_second)
    app.add_middleware(LimitBodies, limits=limits)
    app.add_middleware(Gate, admission=admission, longest_seconds=longest_seconds, keys=keys, metrics=metrics)
    _add_outer_layers(app, metrics, readiness, _model_headers(engine.manifest))
    app.include_router(
        keypoint_routes(
            engine.manifest,
            pipeline,
            admission,
            metrics,
            max_boxes=settings.max_boxes,
            max_images=settings.max_images,
            longest_seconds=longest_seconds,
        )
    )
    app.include_router(model_routes(describe_model(engine.manifest, engine.provider)))
    app.include_router(probe_routes(readiness))
    app.state.admin = None
    if settings.admin_port is None:
        app.include_router(metrics_routes(metrics))
    else:
        app.state.admin = _create_admin_app(metrics, readiness)
    return app


def _create_admin_app(metrics: Metrics, readiness: Readiness) -> FastAPI:
    """Metrics and probes, for a port that clients do not reach."""
    admin = FastAPI(title="Focalpoint, operation", version=__version__, redoc_url=None)
    _add_outer_layers(admin, metrics, readiness, {})
    admin.include_router(metrics_routes(metrics))
    admin.include_router(probe_routes(readiness))
    return admin


def _add_outer_layers(app: FastAPI, metrics: Metrics, readiness: Readiness, headers: dict[str, str]) -> None:
    app.add_middleware(UnexpectedErrors, metrics=metrics)
    app.add_middleware(RequestLog, metrics=metrics, readiness=readiness, headers=headers)
    answer_errors_with_problems(app, metrics)


def _model_headers(manifest: BundleManifest) -> dict[str, str]:
    return {
        "X-Model-Name": manifest.name,
        "X-Model-Version": manifest.version,
        "X-Model-Sha256": manifest.sha256.get(MODEL_FILE, ""),
    }
