"""Errors of keypoints: point by point, their mean (EPE), and which way they lie. S samples, K keypoints."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from model_export.metrics.figures import Figure
from model_export.metrics.predictions import BoolArray, FloatArray
from model_export.metrics.settings import EpeSettings

_EPE = "mean over all labelled keypoints of the distance from the label"
_OFFSET = "mean of found minus label over all labelled keypoints"


def labels(samples: Sequence[KeypointSample]) -> tuple[NDArray[np.float64], BoolArray]:
    """The labels of samples: points (S, K, 2) in image pixels and visibility (S, K)."""
    return np.stack([sample.points_in_image for sample in samples]), np.stack([sample.visible for sample in samples])


def point_errors(found_SK2: FloatArray, true_SK2: FloatArray, visible_SK: BoolArray) -> NDArray[np.float64]:
    """Distance of each found keypoint from its label (S, K), in the points' unit.

    NaN where the label is not visible; infinite where the prediction is not finite: a keypoint that was not found.
    """
    found = np.isfinite(found_SK2).all(axis=-1)
    # Whatever stands where there is nothing, NaN even, takes no part in the arithmetic.
    known_SK1 = (found & visible_SK)[..., None]
    distance = np.linalg.norm(np.where(known_SK1, found_SK2, 0) - np.where(known_SK1, true_SK2, 0), axis=-1)
    return np.where(visible_SK, np.where(found, distance, np.inf), np.nan)


def mean_offset(found_SK2: FloatArray, true_SK2: FloatArray, visible_SK: BoolArray) -> tuple[float, float]:
    """Mean of found minus label over all visible keypoints, x and y in the points' unit; NaN where one is not finite.

    Far from zero it shows labels that lie to one side of what they mark, or a wrong pixel convention.
    """
    offsets = (found_SK2 - true_SK2)[visible_SK]
    if not len(offsets) or not np.isfinite(offsets).all():
        return np.nan, np.nan
    x, y = offsets.mean(axis=0)
    return float(x), float(y)


def epe(samples: Sequence[KeypointSample], found_SK2: FloatArray, _settings: EpeSettings) -> tuple[Figure, ...]:
    """End-point error and mean offset, in image pixels."""
    true, visible = labels(samples)
    errors = point_errors(found_SK2, true, visible)[visible]
    labelled = int(visible.any(axis=1).sum())
    counts = (labelled, len(samples) - labelled)
    x, y = mean_offset(found_SK2, true, visible)
    return (
        Figure("EPE", float(errors.mean()) if errors.size else np.nan, "px", _EPE, *counts),
        Figure("offset x", x, "px", _OFFSET, *counts),
        Figure("offset y", y, "px", _OFFSET, *counts),
    )
