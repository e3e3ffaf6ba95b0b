"""Normalised mean error and its cumulative distribution. S samples, K keypoints."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from model_export.metrics.figures import Figure
from model_export.metrics.normalisers import normaliser_lengths, normaliser_name
from model_export.metrics.point_errors import labels, point_errors
from model_export.metrics.predictions import FloatArray
from model_export.metrics.settings import NmeSettings, Normaliser


def normalised_mean_errors(
    samples: Sequence[KeypointSample], found_SK2: FloatArray, normaliser: Normaliser
) -> NDArray[np.float64]:
    """NME of each sample (S,): the mean error of its visible keypoints over its normaliser.

    NaN where the sample has no visible keypoint or no normaliser; infinite where a keypoint was not found.
    """
    true, visible = labels(samples)
    errors = point_errors(found_SK2, true, visible)
    count = visible.sum(axis=1)
    with np.errstate(invalid="ignore"):  # 0 / 0 where there is no label
        means = np.where(visible, errors, 0).sum(axis=1) / count
    return np.asarray(means / normaliser_lengths(samples, normaliser))


def failure_rate(errors_S: FloatArray, threshold: float) -> float:
    """Share of samples whose NME is strictly greater than the threshold."""
    return float(np.mean(errors_S > threshold))


def area_under_ced(errors_S: FloatArray, threshold: float) -> float:
    """AUC@t = (1/t) x integral from 0 to t of CED(e) de, where CED(e) is the share of samples with NME <= e.

    Exact, no sampling of the curve: the CED is a sum of steps, and the step of a sample with error e adds
    max(0, t - e) / S to the integral.
    """
    return float(np.mean(np.maximum(0.0, 1.0 - errors_S / threshold)))


def nme(samples: Sequence[KeypointSample], found_SK2: FloatArray, settings: NmeSettings) -> tuple[Figure, ...]:
    """NME of the set, and FR@t and AUC@t for each threshold."""
    errors = normalised_mean_errors(samples, found_SK2, settings.normaliser)
    known = errors[~np.isnan(errors)]
    counts = (len(known), len(samples) - len(known))
    normaliser = f"normaliser {normaliser_name(samples, settings.normaliser)}"
    if not known.size:
        return (Figure("NME", np.nan, "share", normaliser, *counts),)
    figures = [
        Figure("NME", float(known.mean()), "share", f"{normaliser}; mean over keypoints, then over samples", *counts)
    ]
    for t in settings.thresholds:
        above = f"{normaliser}; share of samples with NME > {t:g}"
        area = f"{normaliser}; mean height from 0 to {t:g} of the share of samples with NME <= e, exact"
        figures.append(Figure(f"FR@{t:g}", failure_rate(known, t), "share", above, *counts))
        figures.append(Figure(f"AUC@{t:g}", area_under_ced(known, t), "share", area, *counts))
    return tuple(figures)
