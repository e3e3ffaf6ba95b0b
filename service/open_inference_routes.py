"""The Open Inference Protocol, version 2, over REST: what KServe's and Triton's clients speak.

Each image, or crop, is one object: N of them go in, and N times K keypoints come out.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from service import __version__
from service.admission import Admission
from service.contract.crop_transform import Box
from service.deadlines import answer_in_time
from service.disconnection import unless_disconnected
from service.errors import InvalidParameter, NotReady
from service.loaded_model import LoadedModel
from service.model_repository import ModelRepository
from service.open_inference import HEADER_LENGTH, InferenceRequest, Values, encode_inference, parse_inference
from service.openapi_requests import INFERENCE_REQUEST
from service.pipeline import Instance, KeypointPipeline
from service.problem_details import problem_schema
from service.quoting import quoted
from service.readiness import Readiness
from service.request_record import RequestRecord

_PROBLEMS: Final = (
    "bad-request", "unauthorized", "not-found", "request-timeout", "too-large", "unprocessable-image",
    "invalid-parameter", "unsupported-media-type", "overloaded", "internal", "not-ready", "deadline-exceeded",
)  # fmt: skip
_MISSING: Final = problem_schema("not-found", "invalid-parameter", "not-ready")

Outputs = dict[str, NDArray[np.float32]]


def open_inference_routes(
    repository: ModelRepository,
    pipeline: KeypointPipeline,
    admission: Admission,
    readiness: Readiness,
    *,
    max_images: int,
    images_at_once: int,
    longest_seconds: float,
) -> APIRouter:
    """`/v2`."""
    router = APIRouter(prefix="/v2", tags=["open inference protocol"])

    @router.get("", summary="The server")
    async def server() -> dict[str, Any]:
        return {"name": "focalpoint", "version": __version__, "extensions": ["binary_tensor_data"]}

    @router.get("/health/live", summary="As /livez", response_class=Response, responses=problem_schema("not-ready"))
    async def live() -> Response:
        readiness.check_alive()
        return Response()

    @router.get("/health/ready", summary="As /readyz", response_class=Response, responses=problem_schema("not-ready"))
    async def ready() -> Response:
        readiness.check_ready()
        return Response()

    @router.get("/models/{name}/ready", summary="Whether a model answers", response_class=Response, responses=_MISSING)
    @router.get(
        "/models/{name}/versions/{version}/ready",
        summary="Whether a version of a model answers",
        response_class=Response,
        responses=_MISSING,
    )
    async def model_ready(name: str, version: str | None = None) -> Response:
        condition = repository.find(name, version).batcher.condition
        if condition != "working":
            raise NotReady(f"the model is {condition}")
        return Response()

    @router.get("/models/{name}", summary="Inputs and outputs of a model", responses=_MISSING)
    @router.get(
        "/models/{name}/versions/{version}", summary="Inputs and outputs of a version of a model", responses=_MISSING
    )
    async def metadata(name: str, version: str | None = None) -> dict[str, Any]:
        return _metadata(repository.find(name, version), repository.versions(name))

    @router.post(
        "/models/{name}/infer",
        summary="Keypoints from images or crops as tensors",
        response_class=Response,
        responses=problem_schema(*_PROBLEMS),
        openapi_extra=INFERENCE_REQUEST,
    )
    @router.post(
        "/models/{name}/versions/{version}/infer",
        summary="Keypoints from images or crops as tensors, by a version of a model",
        response_class=Response,
        responses=problem_schema(*_PROBLEMS),
        openapi_extra=INFERENCE_REQUEST,
    )
    async def infer(request: Request, name: str, version: str | None = None) -> Response:
        """`image` (BYTES), with `boxes` or without, gives keypoints in pixels of the images; `crops` in pixels of the
        crops. Outputs: `keypoints`, `scores` and, for images, `boxes`.
        """
        record: RequestRecord = request.state.record

        async def answer(allowed: float) -> Response:
            with record.stage("read"):
                body = await request.body()
                asked = await run_in_threadpool(parse_inference, body, request.headers.get(HEADER_LENGTH))
            with repository.use(name, version) as model:
                record.model = model.identity
                images, boxes, crops = _read_inputs(asked.inputs, model, max_images)
                if request.state.bucket is not None:
                    request.state.bucket.take_in_place_of_one(len(images) or len(crops))
                with admission.admit(allowed, len(images) or len(crops)) as place:
                    deadline = record.arrived + allowed
                    if images:
                        work = _look_at_images(pipeline, model, images, boxes, record, deadline, images_at_once)
                    else:
                        work = _look_at_crops(model, crops, record, deadline)
                    outputs = await unless_disconnected(request.receive, work)
                    place.answered = len(images) or len(crops)
            with record.stage("encode_response"):
                return _response(asked, model, outputs)

        return await answer_in_time(request, longest_seconds, answer)

    return router


def _response(asked: InferenceRequest, model: LoadedModel, outputs: Outputs) -> Response:
    content, json_length = encode_inference(asked, model.identity.name, model.identity.version, outputs)
    if json_length is None:
        return Response(content, media_type="application/json")
    return Response(content, media_type="application/octet-stream", headers={HEADER_LENGTH: str(json_length)})


def _metadata(model: LoadedModel, versions: list[str]) -> dict[str, Any]:
    size, keypoints = model.manifest.input, len(model.manifest.keypoints.names)

    def tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
        return {"name": name, "datatype": datatype, "shape": [-1, *shape]}

    return {
        "name": model.identity.name,
        "versions": versions,
        "platform": "focalpoint",
        "inputs": [
            tensor("image", "BYTES"),
            {**tensor("boxes", "FP32", 4), "parameters": {"optional": True}},
            {**tensor("crops", "UINT8", size.height, size.width, 3), "parameters": {"in_place_of": "image"}},
        ],
        "outputs": [
            tensor("keypoints", "FP32", keypoints, 2),
            tensor("scores", "FP32", keypoints),
            tensor("boxes", "FP32", 4),
        ],
    }


def _read_inputs(
    inputs: dict[str, Values], model: LoadedModel, max_images: int
) -> tuple[list[bytes], list[list[Box]], list[NDArray[np.uint8]]]:
    """Images with a list of boxes for each, or crops.

    Raises:
        InvalidParameter: they are not those of the metadata.
    """
    if set(inputs) not in ({"image"}, {"image", "boxes"}, {"crops"}):
        raise InvalidParameter(f"inputs: expected image, image and boxes, or crops, found {quoted(sorted(inputs))}")
    main = inputs["crops"] if "crops" in inputs else inputs["image"]
    if isinstance(main, list) != ("image" in inputs):
        raise InvalidParameter("inputs: expected image as BYTES, and crops as UINT8")
    if not 1 <= len(main) <= max_images:
        raise InvalidParameter(f"inputs: expected 1 to {max_images} images or crops, found {len(main)}")
    if not isinstance(main, list):
        size = model.manifest.input
        if main.dtype != np.uint8 or main.shape[1:] != (size.height, size.width, 3):
            expected = f"UINT8 of shape [N, {size.height}, {size.width}, 3]"
            raise InvalidParameter(f"crops: expected {expected}, found shape {list(main.shape)}")
        return [], [], list(main)
    return main, _read_boxes(inputs.get("boxes"), len(main)), []


def _read_boxes(boxes: Values | None, images: int) -> list[list[Box]]:
    if boxes is None:
        return [[] for _ in range(images)]
    if isinstance(boxes, list) or boxes.dtype != np.float32 or boxes.shape != (images, 4):
        raise InvalidParameter(f"boxes: expected FP32 of shape [{images}, 4]: x, y, width, height for each image")
    try:
        return [[Box(*row)] for row in boxes.astype(float).tolist()]
    except ValueError as error:
        raise InvalidParameter(f"boxes: {error}") from error


async def _look_at_images(
    pipeline: KeypointPipeline,
    model: LoadedModel,
    images: Sequence[bytes],
    boxes: Sequence[list[Box]],
    record: RequestRecord,
    deadline: float,
    images_at_once: int,
) -> Outputs:
    parts = [RequestRecord(record.request_id) for _ in images]
    a_few = asyncio.Semaphore(images_at_once)

    async def estimate(image: bytes, of_image: list[Box], part: RequestRecord) -> Instance:
        async with a_few:
            return (await pipeline.estimate(model, image, of_image, part, deadline)).instances[0]

    outcomes = await asyncio.gather(*map(estimate, images, boxes, parts), return_exceptions=True)
    for part in parts:
        record.merge(part)
    instances: list[Instance] = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):  # the protocol has no answer for a part of the images
            raise outcome
        instances.append(outcome)
    looked_at = [[one.box.x, one.box.y, one.box.width, one.box.height] for one in instances]
    return {
        "keypoints": np.array([one.points_in_image for one in instances], np.float32),
        "scores": np.array([one.scores for one in instances], np.float32),
        "boxes": np.array(looked_at, np.float32),
    }


async def _look_at_crops(
    model: LoadedModel, crops: Sequence[NDArray[np.uint8]], record: RequestRecord, deadline: float
) -> Outputs:
    answers = await asyncio.gather(*map(asyncio.wrap_future, model.submit(crops, deadline)))
    record.add("queue", max(answer.queue_seconds for answer in answers))
    record.add("infer", max(answer.batch_seconds for answer in answers))
    record.batch_size = max(answer.batch_size for answer in answers)
    return {
        "keypoints": np.array([answer.result.points_in_crop for answer in answers], np.float32),
        "scores": np.array([answer.result.scores for answer in answers], np.float32),
    }
