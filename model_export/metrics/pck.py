"""Percentage of correct keypoints, and MPII's PCKh. S samples, K keypoints."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from model_export.metrics.figures import Figure
from model_export.metrics.normalisers import normaliser_lengths, normaliser_name
from model_export.metrics.point_errors import labels, point_errors
from model_export.metrics.predictions import FloatArray
from model_export.metrics.settings import Normaliser, PckhSettings, PckSettings, SampleLength

# MPII's curve has thresholds 0, 0.01 ... 0.5. Two published programs print "PCKh@0.1" of different points of it: the
# index 10 is mmpose's, 11 that of SimpleBaseline and HRNet.
_STRICT_INDEX, _LOOSE_INDEX = 10, 11
_STEP = 0.01


def relative_errors(
    samples: Sequence[KeypointSample], found_SK2: FloatArray, normaliser: Normaliser
) -> NDArray[np.float64]:
    """Errors over each sample's normaliser (S, K); NaN where there is no label or no normaliser."""
    return point_errors(found_SK2, *labels(samples)) / normaliser_lengths(samples, normaliser)[:, None]


def correct_share(relative_SK: FloatArray, threshold: float) -> float:
    """Share of the keypoints that are known (not NaN) whose error is at most the threshold; NaN where none is."""
    known = relative_SK[~np.isnan(relative_SK)]
    return float(np.mean(known <= threshold)) if known.size else np.nan


def pck(samples: Sequence[KeypointSample], found_SK2: FloatArray, settings: PckSettings) -> tuple[Figure, ...]:
    """PCK@t for each threshold: every labelled keypoint of the set counts the same."""
    relative = relative_errors(samples, found_SK2, settings.normaliser)
    counts = _counts(relative)
    name = normaliser_name(samples, settings.normaliser)
    return tuple(
        Figure(
            f"PCK@{t:g}",
            correct_share(relative, t),
            "share",
            f"share of labelled keypoints with error <= {t:g} x normaliser; normaliser {name}",
            *counts,
        )
        for t in settings.thresholds
    )


def pckh(samples: Sequence[KeypointSample], found_SK2: FloatArray, settings: PckhSettings) -> tuple[Figure, ...]:
    """PCKh@0.5, both readings of PCKh@0.1, and the columns of MPII's tables.

    The mean over joints weighted by how often each is labelled is the share over all their labels together.
    """
    head_size = SampleLength(kind="head_size")
    relative = relative_errors(samples, found_SK2, head_size)
    joints = [joint for joint in range(relative.shape[1]) if joint not in settings.left_out]
    left_out = f"all joints but {', '.join(map(str, settings.left_out))}" if settings.left_out else "all joints"
    name = f"normaliser {normaliser_name(samples, head_size)}; {left_out}, each label counts the same"
    counts = _counts(relative)

    def figure(metric: str, threshold: float, remark: str) -> Figure:
        convention = f"error <= {threshold:g} x normaliser{remark}; {name}"
        return Figure(metric, correct_share(relative[:, joints], threshold), "share", convention, *counts)

    strict, loose = round(_STRICT_INDEX * _STEP, 2), round(_LOOSE_INDEX * _STEP, 2)
    remark = " (index {} of the curve 0, 0.01 ... 0.5, as {})"
    return (
        figure("PCKh@0.5", 0.5, ""),
        figure("PCKh@0.1 (index 10)", strict, remark.format(_STRICT_INDEX, "mmpose")),
        figure("PCKh@0.1 (index 11)", loose, remark.format(_LOOSE_INDEX, "SimpleBaseline and HRNet")),
        *(
            Figure(
                f"PCKh@0.5 {column}",
                float(np.mean([correct_share(relative[:, joint], 0.5) for joint in members])),
                "share",
                f"error <= 0.5 x head size; mean of the shares of joints {', '.join(map(str, members))}",
                *counts,
            )
            for column, members in settings.columns.items()
        ),
    )


def _counts(relative_SK: FloatArray) -> tuple[int, int]:
    counted = int((~np.isnan(relative_SK)).any(axis=1).sum())
    return counted, len(relative_SK) - counted
