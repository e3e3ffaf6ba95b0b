"""A graph's output tensors to keypoints and scores, for a whole batch at once: one function for each kind of output.

N crops, K keypoints, places in crop pixels.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, assert_never

import numpy as np
from numpy.typing import NDArray

from service.contract.bundle_manifest import BundleManifest
from service.contract.model_input import CropInput
from service.contract.model_output import CodecOutput, CoordinateOutput, HeatmapOutput, SimccOutput
from service.engine import EngineOutput

Tensors = Sequence[NDArray[np.float32]]


class OutputReading(NamedTuple):
    """Which tensors to fetch, and what becomes of them.

    Attributes:
        tensors: names of the graph's outputs; others stay where they are.
        decode: those tensors, in that order, to keypoints in crop pixels and scores in [0, 1].
    """

    tensors: list[str]
    decode: Callable[[Tensors], EngineOutput]


def output_reading(manifest: BundleManifest) -> OutputReading:
    """How the outputs of a bundle's graph are read."""
    match manifest.output:
        case CodecOutput() as output:
            return OutputReading([output.keypoints_tensor, output.scores_tensor], _take)
        case HeatmapOutput() as output:
            return _heatmaps(output)
        case SimccOutput() as output:
            return _simcc(output)
        case CoordinateOutput() as output:
            return _coordinates(output, manifest.input)
        case _ as unknown:
            assert_never(unknown)


def _take(tensors: Tensors) -> EngineOutput:
    points_in_crop_NK2, scores_NK = tensors
    return EngineOutput(points_in_crop_NK2, scores_NK)


def _heatmaps(output: HeatmapOutput) -> OutputReading:
    codec = output.codec

    def decode(tensors: Tensors) -> EngineOutput:
        (heatmaps_NKHW,) = tensors
        return EngineOutput(*codec.decode(heatmaps_NKHW))

    return OutputReading([output.heatmaps_tensor], decode)


_SIMCC_SCORES: dict[str, Callable[[Any, Any], Any]] = {"min": np.minimum, "mean": lambda x, y: (x + y) / 2}


def _simcc(output: SimccOutput) -> OutputReading:
    score = _SIMCC_SCORES[output.score_rule]

    def decode(tensors: Tensors) -> EngineOutput:
        bins_NK2 = np.stack([row.argmax(axis=-1) for row in tensors], axis=-1)
        x_NK, y_NK = (row.max(axis=-1) for row in tensors)
        points_in_crop_NK2 = (bins_NK2 / output.split_ratio).astype(np.float32)
        return EngineOutput(points_in_crop_NK2, score(x_NK, y_NK).clip(0.0, 1.0))

    return OutputReading([output.x_tensor, output.y_tensor], decode)


def _coordinates(output: CoordinateOutput, crop: CropInput) -> OutputReading:
    scale = np.array([crop.width, crop.height] if output.unit == "normalized" else [1, 1], np.float32)

    def decode(tensors: Tensors) -> EngineOutput:
        places = tensors[0]
        points_in_crop_NK2 = places[..., :2] * scale
        if output.components == 3:
            scores_NK = places[..., 2]
        elif output.scores_tensor is not None:
            scores_NK = tensors[1].reshape(places.shape[:2])
        else:
            scores_NK = np.ones(places.shape[:2], np.float32)
        return EngineOutput(points_in_crop_NK2, scores_NK.clip(0.0, 1.0))

    return OutputReading([output.keypoints_tensor, *([output.scores_tensor] if output.scores_tensor else [])], decode)
