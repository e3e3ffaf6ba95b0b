"""Answers as JSON, in the format and coordinates that were asked for. K keypoints, always all, in manifest order.

Plain dictionaries: building and dumping the models of `service.schemas` takes forty times as long.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from service.answer_options import AnswerFormat, AnswerOptions, Coordinates
from service.contract.bundle_manifest import Keypoints
from service.errors import RequestError
from service.pipeline import Estimate, Heatmaps, Instance
from service.problem_details import problem_members

_DECIMALS: Mapping[Coordinates, int] = MappingProxyType({"pixel": 3, "normalized": 6})
_SCORE_DECIMALS = 4


class AnsweringModel(Protocol):
    """What an answer says of its model; a `BundleManifest` is one."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def keypoints(self) -> Keypoints:
        """What it finds."""


class _Numbers(NamedTuple):
    """An instance as it is written: box of four, K pairs x, y, K scores, and their mean."""

    box: list[float]
    points: list[list[float]]
    scores: list[float]
    score: float
    heatmaps: Heatmaps | None

    def flat(self) -> list[float]:
        """x, y and score of each keypoint in turn."""
        return [number for (x, y), score in zip(self.points, self.scores, strict=True) for number in (x, y, score)]


def encode_answer(model: AnsweringModel, estimate: Estimate, options: AnswerOptions) -> bytes:
    """The JSON of a `KeypointsAnswer`, `CocoAnswer` or `CompactAnswer`.

    Pixels have three decimals, shares of the picture six, scores four.
    """
    objects = [_numbers(instance, estimate, options.coordinates) for instance in estimate.instances]
    answer = {
        "model": {"name": model.name, "version": model.version},
        "image": {"width": estimate.width, "height": estimate.height},
        **_FORMATS[options.format](objects, model),
    }
    return orjson.dumps(answer)


def encode_batch_answer(
    model: AnsweringModel, outcomes: Sequence[Estimate | RequestError], options: AnswerOptions
) -> bytes:
    """The JSON of a `KeypointsBatchAnswer`: for each outcome the answer or the problem that it would be on its own."""
    return b'{"results":[' + b",".join(_encode_outcome(model, outcome, options) for outcome in outcomes) + b"]}"


def _encode_outcome(model: AnsweringModel, outcome: Estimate | RequestError, options: AnswerOptions) -> bytes:
    if isinstance(outcome, RequestError):
        return orjson.dumps(problem_members(outcome.slug, str(outcome), outcome.members))
    return encode_answer(model, outcome, options)


def normalize_points(points_in_image: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """Image pixels (..., 2) as shares of the picture: its left and top edges are 0, its right and bottom ones 1.

    A pixel's centre lies half a pixel from its edges: (x + 0.5) / width, (y + 0.5) / height. So shares stay what they
    are when a picture is resized.
    """
    return (points_in_image + 0.5) / (width, height)


def _numbers(instance: Instance, estimate: Estimate, coordinates: Coordinates) -> _Numbers:
    size, decimals = (estimate.width, estimate.height), _DECIMALS[coordinates]
    box = np.array([instance.box.x, instance.box.y, instance.box.width, instance.box.height])
    points, scores = instance.points_in_image, instance.scores.astype(np.float64)
    if coordinates == "normalized":
        box, points = box / (*size, *size), normalize_points(points, *size)  # a box counts from edges already
    return _Numbers(
        box.round(decimals).tolist(),
        points.round(decimals).tolist(),
        scores.round(_SCORE_DECIMALS).tolist(),
        round(scores.sum().item() / len(scores), _SCORE_DECIMALS),
        instance.heatmaps,
    )


def _native(objects: Sequence[_Numbers], model: AnsweringModel) -> dict[str, Any]:
    names = model.keypoints.names
    return {
        "instances": [
            {
                "box": one.box,
                "score": one.score,
                "keypoints": [
                    {"name": name, "x": x, "y": y, "score": score}
                    for name, (x, y), score in zip(names, one.points, one.scores, strict=True)
                ],
                **({} if one.heatmaps is None else {"heatmaps": _encode_heatmaps(one.heatmaps)}),
            }
            for one in objects
        ]
    }


def _encode_heatmaps(heatmaps: Heatmaps) -> dict[str, Any]:
    return {
        "shape": heatmaps.values_KHW.shape,
        "dtype": "float16",
        "data": base64.b64encode(heatmaps.values_KHW.astype("<f2").tobytes()).decode("ascii"),
        "to_image": heatmaps.to_image.tolist(),
    }


def _coco(objects: Sequence[_Numbers], model: AnsweringModel) -> dict[str, Any]:
    return {
        "category": coco_category(model.name, model.keypoints),
        "results": [
            {"category_id": 1, "bbox": one.box, "keypoints": one.flat(), "score": one.score} for one in objects
        ],
    }


def coco_category(name: str, keypoints: Keypoints) -> dict[str, Any]:
    """What the keypoints are, as in COCO's annotation files: the skeleton counts from 1."""
    skeleton = [(start + 1, end + 1) for start, end in keypoints.skeleton]
    return {"id": 1, "name": name, "keypoints": keypoints.names, "skeleton": skeleton}


def _compact(objects: Sequence[_Numbers], _: AnsweringModel) -> dict[str, Any]:
    return {
        "boxes": [one.box for one in objects],
        "scores": [one.score for one in objects],
        "keypoints": [one.flat() for one in objects],
    }


_FORMATS: Mapping[AnswerFormat, Callable[[Sequence[_Numbers], AnsweringModel], dict[str, Any]]] = MappingProxyType(
    {"native": _native, "coco": _coco, "compact": _compact}
)
