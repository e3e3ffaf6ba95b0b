"""Where a heatmap is highest, and its responses around there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
IndexArray = NDArray[np.intp]

_SMALLEST_RESPONSE = 1e-12  # log(0) is not a number; responses at or below zero count as this


def peak_cell(heatmaps_NKHW: NDArray[np.float32]) -> tuple[IndexArray, IndexArray]:
    """Column and row (N, K) of the greatest response, the first of several."""
    N, K, height, width = heatmaps_NKHW.shape
    row, column = np.divmod(heatmaps_NKHW.reshape(N, K, height * width).argmax(axis=-1), width)
    return column, row


def positive_peak_cell(heatmaps_NKHW: NDArray[np.float32]) -> tuple[IndexArray, IndexArray]:
    """As `peak_cell`, but (0, 0) where no response is above zero: Simple Baselines and what followed it."""
    column, row = peak_cell(heatmaps_NKHW)
    found = heatmaps_NKHW.max(axis=(2, 3)) > 0
    return column * found, row * found


def response(maps_NKHW: FloatArray, column: IndexArray, row: IndexArray) -> FloatArray:
    """The values (N, K) in one cell of each map; a cell outside has the value of the nearest one inside."""
    N, K, height, width = maps_NKHW.shape
    flat = maps_NKHW.reshape(N, K, height * width)
    cell = row.clip(0, height - 1) * width + column.clip(0, width - 1)
    return np.take_along_axis(flat, cell[..., None], axis=-1)[..., 0]


def log_response(heatmaps_NKHW: NDArray[np.float32], column: IndexArray, row: IndexArray) -> FloatArray:
    """The logarithm of `response` in float64, finite everywhere."""
    values = response(heatmaps_NKHW, column, row)
    return np.log(np.maximum(values, np.float32(_SMALLEST_RESPONSE)), dtype=np.float64)
