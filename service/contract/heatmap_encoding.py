"""Points to heatmaps: the profiles of the Gaussians that networks learn to answer, along one axis.

A heatmap is the outer product of its two profiles, so each encoding is one function of a place along an axis of `size`
cells. Places are in heatmap cells, cell i with its centre at i.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
HeatmapEncoding = Literal["gaussian", "rounded_gaussian", "cut_gaussian"]
Profile = Callable[[FloatArray, int, float], FloatArray]


def gaussian(places: FloatArray, size: int, sigma: float) -> FloatArray:
    """The Gaussian around the place itself, over the whole map: (..., size)."""
    return _bell(places[..., None], size, sigma)


def rounded_gaussian(places: FloatArray, size: int, sigma: float) -> FloatArray:
    """The Gaussian around the nearest cell, cut at three sigma: Simple Baselines and HRNet."""
    first, _ = window(places, sigma)
    return _cut(places, size, sigma, first + _middle_of_window(sigma))


def cut_gaussian(places: FloatArray, size: int, sigma: float) -> FloatArray:
    """The Gaussian around the place itself, cut to the window of `rounded_gaussian`: UDP in mmpose."""
    first, _ = window(places, sigma)
    return _cut(places, size, sigma, first + _middle_of_window(sigma) + places - _nearest_cell(places))


ENCODINGS: dict[HeatmapEncoding, Profile] = {
    "gaussian": gaussian,
    "rounded_gaussian": rounded_gaussian,
    "cut_gaussian": cut_gaussian,
}


def window(places: FloatArray, sigma: float) -> tuple[FloatArray, FloatArray]:
    """First cell and the one after the last that a cut Gaussian covers; they may lie outside the map.

    Every rounding is the originals' int(), which drops the fraction: (-1.5, -0.5) rounds to 0, and where three sigma
    are no whole number a window over the lower edge is one cell off.
    """
    nearest = _nearest_cell(places)
    return np.trunc(nearest - 3 * sigma), np.trunc(nearest + 3 * sigma + 1)


def window_meets_map(places: FloatArray, size: int, sigma: float) -> NDArray[np.bool_]:
    """Whether the originals give a keypoint here weight one. (A window that ends where the map begins still does.)"""
    first, end = window(places, sigma)
    return np.asarray((first < size) & (end >= 0))


def _nearest_cell(places: FloatArray) -> FloatArray:
    nearest: FloatArray = np.trunc(places + 0.5)
    return nearest


def _middle_of_window(sigma: float) -> float:
    return float((6 * sigma + 1) // 2)


def _bell(centres: FloatArray, size: int, sigma: float) -> FloatArray:
    bell: FloatArray = np.exp(-0.5 / sigma**2 * (np.arange(size) - centres) ** 2)
    return bell


def _cut(places: FloatArray, size: int, sigma: float, centres: FloatArray) -> FloatArray:
    first, end = window(places, sigma)
    cells = np.arange(size)
    covered = (cells >= first[..., None]) & (cells < end[..., None])
    return np.where(covered, _bell(centres[..., None], size, sigma), 0.0)
