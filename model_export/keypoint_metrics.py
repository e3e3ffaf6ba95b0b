"""Keypoint metrics on NumPy points. S samples, K keypoints; each function's docstring is its convention."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]


def point_errors(found_SK2: FloatArray, true_SK2: FloatArray, visible_SK: NDArray[np.bool_]) -> FloatArray:
    """Distance of each found keypoint from its label (S, K), in the points' unit; NaN where not visible."""
    distance = np.linalg.norm(found_SK2 - true_SK2, axis=-1)
    return np.where(visible_SK, distance, np.nan)


def mean_offset(found_SK2: FloatArray, true_SK2: FloatArray, visible_SK: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean of found minus label over all visible keypoints, x and y in the points' unit.

    Far from zero it shows labels that lie to one side of what they mark, or a wrong pixel convention.
    """
    x, y = (found_SK2 - true_SK2)[visible_SK].mean(axis=0)
    return float(x), float(y)


def normalised_mean_errors(
    found_SK2: FloatArray, true_SK2: FloatArray, visible_SK: NDArray[np.bool_], normaliser: tuple[int, int]
) -> FloatArray:
    """NME of each sample (S,): mean error of its visible keypoints over the distance of two of its labelled keypoints.

    For 300-W faces the pair (36, 45), the outer eye corners, is the inter-ocular normaliser. The NME of a set is the
    mean of these over its samples.

    Raises:
        ValueError: a sample lacks one of the normaliser's keypoints, or both lie at one place.
    """
    first, second = normaliser
    length = np.linalg.norm(true_SK2[:, first] - true_SK2[:, second], axis=-1)
    usable = visible_SK[:, first] & visible_SK[:, second] & (length > 0)
    if not usable.all():
        raise ValueError(f"sample {int(np.argmin(usable))} lacks the normaliser's keypoints {first} and {second}")
    return np.asarray(np.nanmean(point_errors(found_SK2, true_SK2, visible_SK), axis=1) / length)


def failure_rate(errors_S: FloatArray, threshold: float) -> float:
    """Share of samples whose NME is strictly greater than the threshold."""
    return float(np.mean(errors_S > threshold))
