"""The endpoints: HTTP only, no arrays."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.admission import Admission
from service.answer_encoding import encode_answer, encode_batch_answer
from service.content_negotiation import choose_media_type
from service.deadlines import answer_in_time
from service.disconnection import unless_disconnected
from service.drawing import annotated_png
from service.metrics import Metrics
from service.model_repository import ModelRepository
from service.openapi_requests import BATCH_PROBLEMS, BATCH_REQUEST, KEYPOINTS_PROBLEMS, KEYPOINTS_REQUEST, PICTURE
from service.paths import BATCH_PATH, KEYPOINTS_PATH
from service.pipeline import Estimate, KeypointPipeline
from service.problem_details import problem_schema
from service.readiness import Readiness
from service.request_reading import read_batch_input, read_keypoints_input
from service.request_record import RequestRecord
from service.schemas import (
    CocoAnswer,
    CompactAnswer,
    KeypointsAnswer,
    KeypointsBatchAnswer,
    ModelDetails,
    ModelList,
    describe_model,
)
from service.several_images import estimate_several

_JSON: Final = "application/json"
_PNG: Final = "image/png"


def keypoint_routes(
    repository: ModelRepository,
    pipeline: KeypointPipeline,
    admission: Admission,
    metrics: Metrics,
    *,
    max_boxes: int,
    max_images: int,
    images_at_once: int,
    longest_seconds: float,
) -> APIRouter:
    """`POST /v1/keypoints` and `POST /v1/keypoints:batch`.

    Of the images of one request only `images_at_once` are worked on at a time, so that it cannot fill the queue alone.
    """
    router = APIRouter(tags=["keypoints"])

    @router.post(
        KEYPOINTS_PATH,
        summary="Keypoints of the objects in a picture",
        response_class=Response,
        responses={
            200: {"model": KeypointsAnswer | CocoAnswer | CompactAnswer, "content": {_PNG: {"schema": PICTURE}}},
            **problem_schema(*KEYPOINTS_PROBLEMS),
        },
        openapi_extra=KEYPOINTS_REQUEST,
    )
    async def keypoints(request: Request) -> Response:
        """The picture goes in as it is, as a form, or in base64; without boxes it shows one object.

        With `Accept: image/png` it comes back with its keypoints drawn.
        """
        record = _record(request)
        media_type = choose_media_type(_accept(request), (_JSON, _PNG))

        async def answer(allowed: float) -> Response:
            with record.stage("read"):
                (image_bytes, boxes), options = await read_keypoints_input(request, max_boxes)
            with repository.use(options.model, options.version) as model:
                record.model = model.identity
                if media_type == _PNG:
                    pipeline.check_drawable(image_bytes)
                with admission.admit(allowed) as place:
                    due = record.arrived + allowed
                    work = pipeline.estimate(model, image_bytes, boxes, record, due, with_heatmaps=options.heatmaps)
                    estimate = await unless_disconnected(request.receive, work)
                    place.answered = 1
                    if media_type == _PNG:
                        draw = partial(annotated_png, estimate, model.manifest.keypoints.skeleton)
                        drawing = pipeline.with_picture(image_bytes, draw, record)
                        return Response(await unless_disconnected(request.receive, drawing), media_type=_PNG)
            with record.stage("encode_response"):
                return Response(encode_answer(model.manifest, estimate, options), media_type=_JSON)

        return await answer_in_time(request, longest_seconds, answer)

    @router.post(
        BATCH_PATH,
        summary="Keypoints of the objects in several pictures",
        response_class=Response,
        responses={200: {"model": KeypointsBatchAnswer}, **problem_schema(*BATCH_PROBLEMS)},
        openapi_extra=BATCH_REQUEST,
    )
    async def keypoints_of_batch(request: Request) -> Response:
        """Several pictures in one request; each has its answer or its problem in its place."""
        record = _record(request)
        choose_media_type(_accept(request), (_JSON,))

        async def answer(allowed: float) -> Response:
            with record.stage("read"):
                inputs, options = await read_batch_input(request, max_images, max_boxes)
            if request.state.bucket is not None:
                request.state.bucket.take_in_place_of_one(len(inputs))
            with repository.use(options.model, options.version) as model:
                record.model = model.identity
                with admission.admit(allowed, len(inputs)) as place:
                    work = estimate_several(
                        pipeline,
                        model,
                        inputs,
                        record,
                        record.arrived + allowed,
                        images_at_once=images_at_once,
                        metrics=metrics,
                    )
                    estimates = await unless_disconnected(request.receive, work)
                    place.answered = sum(isinstance(estimate, Estimate) for estimate in estimates)
            with record.stage("encode_response"):
                return Response(encode_batch_answer(model.manifest, estimates, options), media_type=_JSON)

        return await answer_in_time(request, longest_seconds, answer)

    return router


def model_routes(repository: ModelRepository) -> APIRouter:
    """`/v1/models`."""
    router = APIRouter(tags=["models"])

    @router.get("/v1/models", summary="The models that are served")
    async def models() -> ModelList:
        return ModelList(models=[describe_model(model.manifest, model.provider) for model in repository.models])

    @router.get("/v1/models/{name}", summary="One model", responses=problem_schema("not-found", "invalid-parameter"))
    async def one_model(name: str, version: str | None = None) -> ModelDetails:
        """The newest version, or the one that is asked for."""
        model = repository.find(name, version)
        described = describe_model(model.manifest, model.provider).model_dump()
        return ModelDetails(**described, versions=repository.versions(name), card=model.card)

    return router


def probe_routes(readiness: Readiness) -> APIRouter:
    """`/livez` and `/readyz`."""
    router = APIRouter(tags=["operation"])

    @router.get(
        "/livez",
        summary="Whether the process can do its work without being started anew",
        response_class=PlainTextResponse,
        responses=problem_schema("not-ready"),
    )
    async def livez() -> str:
        readiness.check_alive()
        return "alive"

    @router.get(
        "/readyz",
        summary="Whether the model answers and the server is not about to stop",
        response_class=PlainTextResponse,
        responses=problem_schema("not-ready"),
    )
    async def readyz() -> str:
        readiness.check_ready()
        return "ready"

    return router


def metrics_routes(expose: Callable[[], Awaitable[bytes]]) -> APIRouter:
    """`/metrics`: what `expose` gives, in Prometheus's text format."""
    router = APIRouter(tags=["operation"])

    @router.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=PlainTextResponse,
        responses=problem_schema("unauthorized"),
    )
    async def prometheus_metrics() -> Response:
        return Response(await expose(), media_type=CONTENT_TYPE_LATEST)

    return router


def _accept(request: Request) -> str:
    return ",".join(request.headers.getlist("accept"))


def _record(request: Request) -> RequestRecord:
    record: RequestRecord = request.state.record
    return record
