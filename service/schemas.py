"""The public JSON: what requests and answers look like, for the documentation and for who reads it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.answer_options import AnswerFormat, Coordinates
from service.contract.bundle_manifest import Accuracy, BundleManifest, Licence

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
    """One keypoint; x right and y down in pixels of the picture, the centre of the first pixel at 0, 0.

    With `coordinates=normalized` the left and top edges of the picture are 0, the right and bottom ones 1:
    `(x + 0.5) / width`, `(y + 0.5) / height`.
    """

    name: str
    x: float
    y: float
    score: Score


class HeatmapsAnswer(BaseModel):
    """The heatmaps of one object, all of them."""

    shape: tuple[int, int, int] = Field(description="keypoints, rows, columns")
    dtype: Literal["float16"]
    data: str = Field(
        description="base64 of little-endian numbers, row by row", json_schema_extra={"contentEncoding": "base64"}
    )
    to_image: tuple[tuple[float, float, float], tuple[float, float, float]] = Field(
        description="matrix that takes a cell (column, row, 1) to pixels of the picture"
    )


class InstanceAnswer(BaseModel):
    """One object: all keypoints of the model in its order, however low their scores."""

    box: tuple[float, float, float, float] = Field(description="x, y, width, height of the box that was looked at")
    score: Score = Field(description="mean of the keypoints' scores")
    keypoints: list[KeypointAnswer]
    heatmaps: HeatmapsAnswer | None = Field(default=None, description="where they were asked for; otherwise missing")


class KeypointsAnswer(BaseModel):
    """The answer of `POST /v1/keypoints`, in the format `native`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": {"name": "eyes", "version": "1.0.0"},
                "image": {"width": 640, "height": 480},
                "instances": [
                    {
                        "box": [96.0, 40.0, 128.0, 160.0],
                        "score": 0.9312,
                        "keypoints": [
                            {"name": "left", "x": 131.25, "y": 90.5, "score": 0.9511},
                            {"name": "right", "x": 187.125, "y": 92.75, "score": 0.9113},
                        ],
                    }
                ],
            }
        }
    )

    model: ModelName
    image: ImageSize
    instances: list[InstanceAnswer]


class CocoCategory(BaseModel):
    """What the keypoints are, as in COCO's annotation files: the skeleton counts from 1."""

    id: Literal[1]
    name: str
    keypoints: list[str]
    skeleton: list[tuple[int, int]]


class CocoResult(BaseModel):
    """One object, as in COCO's results files."""

    category_id: Literal[1]
    bbox: tuple[float, float, float, float]
    keypoints: list[float] = Field(description="x, y and score of each keypoint in turn")
    score: Score


class CocoAnswer(BaseModel):
    """The answer in the format `coco`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": {"name": "eyes", "version": "1.0.0"},
                "image": {"width": 640, "height": 480},
                "category": {"id": 1, "name": "eyes", "keypoints": ["left", "right"], "skeleton": [[1, 2]]},
                "results": [
                    {
                        "category_id": 1,
                        "bbox": [96.0, 40.0, 128.0, 160.0],
                        "keypoints": [131.25, 90.5, 0.9511, 187.125, 92.75, 0.9113],
                        "score": 0.9312,
                    }
                ],
            }
        }
    )

    model: ModelName
    image: ImageSize
    category: CocoCategory
    results: list[CocoResult]


class CompactAnswer(BaseModel):
    """The answer in the format `compact`: flat numbers, without names."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "model": {"name": "eyes", "version": "1.0.0"},
                "image": {"width": 640, "height": 480},
                "boxes": [[96.0, 40.0, 128.0, 160.0]],
                "scores": [0.9312],
                "keypoints": [[131.25, 90.5, 0.9511, 187.125, 92.75, 0.9113]],
            }
        }
    )

    model: ModelName
    image: ImageSize
    boxes: list[tuple[float, float, float, float]]
    scores: list[Score]
    keypoints: list[list[float]] = Field(description="for each object x, y and score of each keypoint in turn")


class _Options(BaseModel):
    """The options that stand in the body."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(default=None, description="name of the model; without it the default")
    version: str | None = Field(default=None, description="of the model; without it the newest")
    coordinates: Coordinates = Field(
        default="pixel", description="pixels of the picture, or shares of its width and height"
    )
    format: AnswerFormat = Field(default="native", description="the shape of the answer")
    heatmaps: bool = Field(default=False, description="add the heatmaps; in the format native, of one picture only")


class ImageWithBoxes(BaseModel):
    """One of several pictures."""

    model_config = ConfigDict(extra="forbid")

    image: str = Field(description="the file in base64", json_schema_extra={"contentEncoding": "base64"})
    boxes: list[tuple[float, float, float, float]] = Field(
        default=[], description="x, y, width, height in pixels; none: the whole picture shows one object"
    )


class KeypointsRequest(_Options, ImageWithBoxes):
    """The JSON form of a request."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"image": "/9j/4AAQSkZJRg...", "boxes": [[96, 40, 128, 160]], "format": "coco"}},
    )


class ProblemAnswer(BaseModel):
    """What is wrong with one picture, as in RFC 9457; the other pictures have their answers all the same."""

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str = Field(description="what was expected and what was found")


class KeypointsBatchRequest(_Options):
    """The JSON form of a request with several pictures."""

    images: Annotated[list[ImageWithBoxes], Field(min_length=1)]


class KeypointsBatchAnswer(BaseModel):
    """The answer of `POST /v1/keypoints:batch`."""

    results: list[KeypointsAnswer | CocoAnswer | CompactAnswer | ProblemAnswer] = Field(
        description="one for each picture, in their order"
    )


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


class ModelDetails(ModelDescription):
    """The answer of `GET /v1/models/{name}`."""

    versions: list[str] = Field(description="all that are served, the newest last")
    card: str = Field(description="the bundle's MODEL_CARD.md; empty if it has none")


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
