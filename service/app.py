"""The wiring: every part is made here, in the order of the flow, started and stopped."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from service import __version__
from service.contract.bundle_manifest import MODEL_FILE
from service.engine import KeypointEngine
from service.metrics import Metrics
from service.middleware import AnswerCount, BodyLimit, UnexpectedErrors
from service.pipeline import KeypointPipeline
from service.problem_details import answer_errors_with_problems
from service.routes import Readiness, keypoint_routes, model_routes, operation_routes
from service.schemas import describe_model
from service.settings import Settings, usable_cores


def create_metrics(engine: KeypointEngine) -> Metrics:
    """The metrics of a server with this engine."""
    manifest = engine.manifest
    return Metrics(manifest.name, manifest.version, manifest.sha256.get(MODEL_FILE, ""), engine.provider)


def create_pipeline(settings: Settings, engine: KeypointEngine, metrics: Metrics) -> KeypointPipeline:
    """The pipeline as the settings say; not started."""
    return KeypointPipeline(
        engine,
        metrics,
        max_batch=settings.max_batch,
        max_queue=settings.max_queue,
        max_pixels=settings.max_pixels,
        decode_threads=settings.decode_threads or usable_cores(),
        drain_seconds=settings.drain_timeout_ms / 1000,
    )


def create_app(settings: Settings, engine: KeypointEngine) -> FastAPI:
    """The application that serves one loaded engine; ready once it has started up.

    `app.state.readiness.stopping = True` turns `/readyz` off while everything else goes on.
    """
    metrics = create_metrics(engine)
    pipeline = create_pipeline(settings, engine, metrics)
    readiness = Readiness()

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
    app.add_middleware(BodyLimit, max_body_bytes=settings.max_body_bytes)
    app.add_middleware(UnexpectedErrors)
    app.add_middleware(AnswerCount, metrics=metrics)
    answer_errors_with_problems(app, metrics)
    app.include_router(
        keypoint_routes(
            engine.manifest,
            pipeline,
            metrics,
            max_boxes=settings.max_boxes,
            max_in_flight=settings.max_in_flight,
            deadline_seconds=settings.deadline_ms / 1000,
        )
    )
    app.include_router(model_routes(describe_model(engine.manifest, engine.provider)))
    app.include_router(operation_routes(pipeline, metrics, readiness))
    return app
