"""Heatmaps to places in heatmap cells: how the answer of a network is read.

N crops, K keypoints, h x w cells, cell i with its centre at i.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.contract.dark_decoding import dark, dark_udp
from service.contract.heatmap_peak import log_response, peak_cell, positive_peak_cell, response

FloatArray = NDArray[np.floating[Any]]
HeatmapsNKHW = NDArray[np.float32]
HeatmapDecoding = Literal["soft_argmax", "peak", "quarter_step", "dark", "dark_udp"]

_SMALLEST_MASS = 1e-12


def centre_of_mass(heatmaps_NKHW: HeatmapsNKHW) -> FloatArray:
    """The mean of the cells weighted by their response, nowhere negative: (N, K, 2). Sun et al. 2018."""
    height, width = heatmaps_NKHW.shape[2:]
    mass_per_column = heatmaps_NKHW.sum(axis=2, dtype=np.float64) + _SMALLEST_MASS
    mass_per_row = heatmaps_NKHW.sum(axis=3, dtype=np.float64) + _SMALLEST_MASS
    x = mass_per_column @ np.arange(width) / mass_per_column.sum(axis=-1)
    y = mass_per_row @ np.arange(height) / mass_per_row.sum(axis=-1)
    return np.stack([x, y], axis=-1)


def refined_peak(heatmaps_NKHW: HeatmapsNKHW) -> FloatArray:
    """The maximum, refined by the parabola through its logarithm and its neighbours' in x and in y: (N, K, 2)."""
    height, width = heatmaps_NKHW.shape[2:]
    column, row = peak_cell(heatmaps_NKHW)
    # The parabola needs a neighbour on both sides; at the border it is laid through the three cells nearest to it.
    middle_x, middle_y = column.clip(1, width - 2), row.clip(1, height - 2)

    def at(x: NDArray[np.intp], y: NDArray[np.intp]) -> FloatArray:
        return log_response(heatmaps_NKHW, x, y)

    def vertex(before: FloatArray, middle: FloatArray, after: FloatArray) -> FloatArray:
        curvature = before - 2 * middle + after
        is_peak = curvature < -1e-9
        return np.where(is_peak, 0.5 * (before - after) / np.where(is_peak, curvature, 1.0), 0.0).clip(-1.5, 1.5)

    x = middle_x + vertex(at(middle_x - 1, row), at(middle_x, row), at(middle_x + 1, row))
    y = middle_y + vertex(at(column, middle_y - 1), at(column, middle_y), at(column, middle_y + 1))
    return np.stack([x, y], axis=-1)


def quarter_step(heatmaps_NKHW: HeatmapsNKHW) -> FloatArray:
    """The maximum, and a quarter of a cell towards the higher neighbour in x and in y: (N, K, 2).

    Simple Baselines and HRNet: a map that is nowhere above zero gives (0, 0); the step is taken only where
    1 < x < w - 1 and 1 < y < h - 1, so neither in the outermost cells nor in the first but one.
    """
    height, width = heatmaps_NKHW.shape[2:]
    column, row = positive_peak_cell(heatmaps_NKHW)
    inner = (column > 1) & (column < width - 1) & (row > 1) & (row < height - 1)
    slope_x = response(heatmaps_NKHW, column + 1, row) - response(heatmaps_NKHW, column - 1, row)
    slope_y = response(heatmaps_NKHW, column, row + 1) - response(heatmaps_NKHW, column, row - 1)
    step = 0.25 * np.sign(np.stack([slope_x, slope_y], axis=-1))
    return np.stack([column, row], axis=-1, dtype=np.float64) + np.where(inner[..., None], step, 0.0)


DECODINGS: dict[HeatmapDecoding, Callable[[HeatmapsNKHW, int], FloatArray]] = {
    "soft_argmax": lambda heatmaps, _: centre_of_mass(heatmaps),
    "peak": lambda heatmaps, _: refined_peak(heatmaps),
    "quarter_step": lambda heatmaps, _: quarter_step(heatmaps),
    "dark": dark,
    "dark_udp": dark_udp,
}
