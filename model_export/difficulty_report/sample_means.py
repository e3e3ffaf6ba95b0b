"""A run's score history as one value for each sample, and how these go together. E epochs, S samples."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from model_export.difficulty_history import DifficultyHistory
from model_export.errors import RunError

FloatArray = NDArray[np.float64]
THIRDS = ("first", "second", "last")


class SampleMeans(NamedTuple):
    """Means over some epochs of what stands in the history, (S,) each; NaN for a sample that none of them had."""

    difficulty_S: FloatArray
    base_loss_S: FloatArray
    error_in_crop_pixels_S: FloatArray
    missing_keypoints_S: FloatArray


def means_of_thirds(history: DifficultyHistory) -> dict[str, SampleMeans]:
    """The means over the first, second and last third of the epochs.

    Raises:
        RunError: there are fewer than three epochs.
    """
    if len(history.epochs_E) < len(THIRDS):
        raise RunError(f"the score history has {len(history.epochs_E)} epochs: expected three at least")
    parts = np.array_split(np.arange(len(history.epochs_E)), len(THIRDS))
    return {third: _means(history, part) for third, part in zip(THIRDS, parts, strict=True)}


def rank_correlation(first_S: FloatArray, second_S: FloatArray) -> float:
    """Spearman's, over the samples that have both; NaN where one of them does not vary."""
    known = np.isfinite(first_S) & np.isfinite(second_S)
    if known.sum() < 2 or np.ptp(first_S[known]) == 0 or np.ptp(second_S[known]) == 0:
        return float("nan")
    return float(stats.spearmanr(first_S[known], second_S[known]).statistic)


def _means(history: DifficultyHistory, epochs: NDArray[np.int64]) -> SampleMeans:
    columns = (
        history.difficulty_ES,
        history.base_loss_ES,
        history.error_in_crop_pixels_ES,
        history.missing_keypoints_ES,
    )
    return SampleMeans(*(_nan_mean(column[epochs].astype(np.float64)) for column in columns))


def _nan_mean(values_ES: FloatArray) -> FloatArray:
    known = np.isfinite(values_ES)
    with np.errstate(invalid="ignore"):  # 0 / 0 for a sample that no epoch had
        return np.asarray(np.where(known, values_ES, 0).sum(axis=0) / known.sum(axis=0))
