"""What the metrics are computed from: labelled samples with one prediction each, and instances for COCO's evaluator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from service.contract.crop_transform import Box, CropTransform

FloatArray = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]


class Instance(NamedTuple):
    """One predicted object.

    Attributes:
        image_id: of its picture.
        points_K2: in image pixels.
        scores_K: of its keypoints, 0 to 1.
        box_score: the detector's; 1 for labelled boxes.
        area: of the image region that the crop shows, in square pixels (padding included).
    """

    image_id: str
    points_K2: FloatArray
    scores_K: FloatArray
    box_score: float
    area: float


def seen_area(transform: CropTransform) -> float:
    """Square pixels of the image that a crop shows, its padding and what lies outside the image included.

    SimpleBaseline and HRNet compare instances by this area.
    """
    return transform.width * transform.height / transform.scale**2


class LabelledPerson(NamedTuple):
    """One annotated object as COCO's evaluator wants it; one without a visible keypoint, or a crowd, is ignored.

    Attributes:
        points_K2, visible_K: as in `KeypointSample`.
        box: where there is no visible keypoint, predictions around this box are ignored.
        area: square pixels, where the annotations give it.
        origin: where it comes from, for error messages.
    """

    image_id: str
    points_K2: FloatArray
    visible_K: BoolArray
    box: Box
    area: float | None
    crowd: bool
    origin: str


class OksTruth(NamedTuple):
    """All that COCO's evaluator compares with: every annotated object of every picture, `image_ids` naming them all."""

    persons: Sequence[LabelledPerson]
    image_ids: frozenset[str]
    sigmas_K: FloatArray
    source: str


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions in image pixels.

    Attributes:
        samples: S of them.
        found_SK2: one prediction for each sample; None where boxes come from a detector, which has no sample for each.
        instances: all predictions.
        truth: for the metrics of instances; None where no metric needs it.
    """

    samples: Sequence[KeypointSample]
    found_SK2: FloatArray | None
    instances: Sequence[Instance]
    truth: OksTruth | None
