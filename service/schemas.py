"""The public JSON: what an answer looks like, for the documentation and for the encoder."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field

from service.contract.bundle_manifest import Accuracy, BundleManifest, Licence
from service.errors import RequestError
from service.pipeline import Estimate, Instance
from service.problem_details import problem_members

_PIXEL_DECIMALS = 3
_SCORE_DECIMALS = 4

Score = Annotated[float, Field(ge=0, le=1)]


class ModelName(BaseModel):
    """Which model answered."""

    name: str
    version: str


class ImageSize(BaseModel):
    """The picture as displayed, in pixels."""

    width: int
    height: int


class KeypointAnswer(BaseModel):
    """One keypoint; x right and y down in pixels of the picture, the centre of the first pixel at 0, 0."""

    name: str
    x: float
    y: float
    score: Score


class InstanceAnswer(BaseModel):
    """One object: all keypoints of the model in its order, however low their scores."""

    box: tuple[float, float, float, float] = Field(description="x, y, width, height of the box that was looked at")
    score: Score = Field(description="mean of the keypoints' scores")
    keypoints: list[KeypointAnswer]


class KeypointsAnswer(BaseModel):
    """The answer of `POST /v1/keypoints`."""

    model: ModelName
    image: ImageSize
    instances: list[InstanceAnswer]


class KeypointsRequest(BaseModel):
    """The JSON form of a request."""

    model_config = ConfigDict(extra="forbid")

    image: str = Field(description="the file in base64", json_schema_extra={"contentEncoding": "base64"})
    boxes: list[tuple[float, float, float, float]] = Field(
        default=[], description="x, y, width, height in pixels; none: the whole picture shows one object"
    )


class ProblemAnswer(BaseModel):
    """What is wrong with one picture, as in RFC 9457; the other pictures have their answers all the same."""

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str = Field(description="what was expected and what was found")


class KeypointsBatchRequest(BaseModel):
    """The JSON form of a request with several pictures."""

    model_config = ConfigDict(extra="forbid")

    images: Annotated[list[KeypointsRequest], Field(min_length=1)]


class KeypointsBatchAnswer(BaseModel):
    """The answer of `POST /v1/keypoints:batch`."""

    results: list[KeypointsAnswer | ProblemAnswer] = Field(description="one for each picture, in their order")


class ModelDescription(BaseModel):
    """What a client must know of a model."""

    name: str
    version: str
    description: str
    intended_use: str
    keypoint_names: tuple[str, ...]
    skeleton: tuple[tuple[int, int], ...]
    flip_pairs: tuple[tuple[int, int], ...]
    oks_sigmas: tuple[float, ...] | None
    input_width: int
    input_height: int
    licence: Licence
    accuracy: tuple[Accuracy, ...]
    sha256: dict[str, str]
    provider: str


class ModelList(BaseModel):
    """The answer of `GET /v1/models`."""

    models: list[ModelDescription]


def describe_model(manifest: BundleManifest, provider: str) -> ModelDescription:
    """The public facts of a manifest."""
    return ModelDescription(
        name=manifest.name,
        version=manifest.version,
        description=manifest.description,
        intended_use=manifest.intended_use,
        keypoint_names=manifest.keypoints.names,
        skeleton=manifest.keypoints.skeleton,
        flip_pairs=manifest.keypoints.flip_pairs,
        oks_sigmas=manifest.keypoints.oks_sigmas,
        input_width=manifest.input.width,
        input_height=manifest.input.height,
        licence=manifest.licence,
        accuracy=manifest.accuracy,
        sha256=manifest.sha256,
        provider=provider,
    )


def encode_keypoints_answer(manifest: BundleManifest, estimate: Estimate) -> bytes:
    """The JSON of a `KeypointsAnswer`; pixels to a thousandth, scores to four decimals.

    Plain dictionaries: building and dumping the models above takes forty times as long.
    """
    names = manifest.keypoints.names
    answer = {
        "model": {"name": manifest.name, "version": manifest.version},
        "image": {"width": estimate.width, "height": estimate.height},
        "instances": [_instance(instance, names) for instance in estimate.instances],
    }
    return orjson.dumps(answer)


def encode_batch_answer(manifest: BundleManifest, outcomes: Sequence[Estimate | RequestError]) -> bytes:
    """The JSON of a `KeypointsBatchAnswer`: for each outcome the answer or the problem that it would be on its own."""
    return b'{"results":[' + b",".join(_encode_outcome(manifest, outcome) for outcome in outcomes) + b"]}"


def _encode_outcome(manifest: BundleManifest, outcome: Estimate | RequestError) -> bytes:
    if isinstance(outcome, RequestError):
        return orjson.dumps(problem_members(outcome.slug, str(outcome), outcome.members))
    return encode_keypoints_answer(manifest, outcome)


def _instance(instance: Instance, names: tuple[str, ...]) -> dict[str, object]:
    box = instance.box
    points = np.round(instance.points_in_image, _PIXEL_DECIMALS).tolist()
    scores = np.round(instance.scores.astype(np.float64), _SCORE_DECIMALS).tolist()
    return {
        "box": [round(number, _PIXEL_DECIMALS) for number in (box.x, box.y, box.width, box.height)],
        "score": round(float(instance.scores.mean()), _SCORE_DECIMALS),
        "keypoints": [
            {"name": name, "x": x, "y": y, "score": score}
            for name, (x, y), score in zip(names, points, scores, strict=True)
        ],
    }
