"""The endpoints: HTTP only, no arrays."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from service.admission import Admission
from service.contract.bundle_manifest import BundleManifest
from service.disconnection import ClientDisconnectedError, unless_disconnected
from service.errors import DeadlineExceeded, NotFound, NotReady
from service.metrics import Metrics
from service.pipeline import KeypointPipeline
from service.problem_details import problem_schema
from service.request_reading import read_keypoints_input
from service.schemas import (
    KeypointsAnswer,
    KeypointsRequest,
    ModelDescription,
    ModelList,
    encode_keypoints_answer,
)

_CLIENT_CLOSED_REQUEST: Final = 499  # nobody reads it; for the metrics, by the name that nginx gave it
_BOXES_IN_QUERY: Final = {
    "name": "boxes",
    "in": "query",
    "description": "for a raw image body: `x,y,width,height;x,y,width,height` in pixels of the picture as displayed",
    "schema": {"type": "string"},
    "example": "96,40,128,160",
}
_FILE: Final = {"schema": {"type": "string", "format": "binary"}}
_FORM: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "boxes": {"type": "string", "description": "JSON: [[x, y, width, height], ...]"},
    },
}
_KEYPOINTS_REQUEST: Final[dict[str, Any]] = {
    "parameters": [_BOXES_IN_QUERY],
    "requestBody": {
        "required": True,
        "content": {
            "image/*": _FILE,
            "application/octet-stream": _FILE,
            "multipart/form-data": {"schema": _FORM},
            "application/json": {"schema": KeypointsRequest.model_json_schema()},
        },
    },
}
_KEYPOINTS_PROBLEMS: Final = (
    "bad-request",
    "too-large",
    "unsupported-media-type",
    "unprocessable-image",
    "invalid-parameter",
    "overloaded",
    "internal",
    "not-ready",
    "deadline-exceeded",
)


class Readiness:
    """Whether new requests should come here: not once the server has been told to stop."""

    def __init__(self) -> None:
        self.stopping = False


def keypoint_routes(
    manifest: BundleManifest,
    pipeline: KeypointPipeline,
    metrics: Metrics,
    *,
    max_boxes: int,
    max_in_flight: int,
    deadline_seconds: float,
) -> APIRouter:
    """`POST /v1/keypoints`."""
    router = APIRouter(tags=["keypoints"])
    admission = Admission(max_in_flight, pipeline.batcher.expected_wait_seconds)

    @router.post(
        "/v1/keypoints",
        summary="Keypoints of the objects in a picture",
        response_class=Response,
        responses={200: {"model": KeypointsAnswer}, **problem_schema(*_KEYPOINTS_PROBLEMS)},
        openapi_extra=_KEYPOINTS_REQUEST,
    )
    async def keypoints(request: Request) -> Response:
        """The picture goes in as it is, as a form, or in base64; without boxes it shows one object."""
        with admission:
            with metrics.stage("read"):
                image_bytes, boxes = await read_keypoints_input(request, max_boxes)
            try:
                async with asyncio.timeout(deadline_seconds):
                    estimate = await unless_disconnected(request.receive, pipeline.estimate(image_bytes, boxes))
            except ClientDisconnectedError:
                return Response(status_code=_CLIENT_CLOSED_REQUEST)
            except TimeoutError as error:
                raise DeadlineExceeded(f"no answer within {deadline_seconds:g} s") from error
            with metrics.stage("encode_response"):
                return Response(encode_keypoints_answer(manifest, estimate), media_type="application/json")

    return router


def model_routes(model: ModelDescription) -> APIRouter:
    """`/v1/models`."""
    router = APIRouter(tags=["models"])

    @router.get("/v1/models", summary="The models that are served")
    async def models() -> ModelList:
        return ModelList(models=[model])

    @router.get("/v1/models/{name}", summary="One model", responses=problem_schema("not-found", "invalid-parameter"))
    async def one_model(name: str) -> ModelDescription:
        if name != model.name:
            raise NotFound(f"there is no model {name!r}; this server has {model.name!r}")
        return model

    return router


def operation_routes(pipeline: KeypointPipeline, metrics: Metrics, readiness: Readiness) -> APIRouter:
    """`/livez`, `/readyz` and `/metrics`."""
    router = APIRouter(tags=["operation"])

    @router.get("/livez", summary="Whether the process answers", response_class=PlainTextResponse)
    async def livez() -> str:
        return "alive"

    @router.get(
        "/readyz",
        summary="Whether the model answers and the server is not about to stop",
        response_class=PlainTextResponse,
        responses=problem_schema("not-ready"),
    )
    async def readyz() -> str:
        if readiness.stopping:
            raise NotReady("the server is stopping")
        if not pipeline.batcher.alive:
            raise NotReady("the model has died")
        return "ready"

    @router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    async def prometheus_metrics() -> Response:
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    return router
