"""Distribution-aware decoding (DARK, Zhang et al. 2020, section 3.2), in its two published forms.

The maps are smoothed by a Gaussian, scaled back to the peak they had, and the place is found by one Newton step on
their logarithm from the highest cell. N crops, K keypoints, h x w cells.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from service.contract.heatmap_peak import positive_peak_cell, response

FloatArray = NDArray[np.floating[Any]]
HeatmapsNKHW = NDArray[np.float32]

# Below this the logarithms are flat to float32's precision, and a step would follow rounding. (The originals ask
# whether it is exactly zero.)
SMALLEST_DETERMINANT = 1e-12
DARK_FLOOR = 1e-10
UDP_FLOOR, UDP_CEILING = 1e-3, 50.0
UDP_DAMPING = float(np.finfo(np.float32).eps)


def dark(heatmaps_NKHW: HeatmapsNKHW, blur_kernel: int) -> FloatArray:
    """DARK as in its authors' code: places (N, K, 2).

    Derivatives reach two cells to each side; where they would leave the map (unless 1 < x < w - 2 and 1 < y < h - 2)
    the highest cell is the answer, unrefined. A map that is nowhere above zero gives (0, 0).

    Args:
        heatmaps_NKHW: responses of the network.
        blur_kernel: odd width of the smoothing Gaussian in cells; its sigma is 0.3 ((width - 1) / 2 - 1) + 0.8.
    """
    height, width = heatmaps_NKHW.shape[2:]
    column, row = positive_peak_cell(heatmaps_NKHW)
    logs = np.log(np.maximum(smoothed(heatmaps_NKHW, blur_kernel), DARK_FLOOR))
    inner = (column > 1) & (column < width - 2) & (row > 1) & (row < height - 2)

    def at(dx: int, dy: int) -> FloatArray:
        return response(logs, column + dx, row + dy)

    step = newton_step(
        dx=0.5 * (at(1, 0) - at(-1, 0)),
        dy=0.5 * (at(0, 1) - at(0, -1)),
        dxx=0.25 * (at(2, 0) - 2 * at(0, 0) + at(-2, 0)),
        dxy=0.25 * (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)),
        dyy=0.25 * (at(0, 2) - 2 * at(0, 0) + at(0, -2)),
    )
    return np.stack([column, row], axis=-1, dtype=np.float64) + np.where(inner[..., None], step, 0.0)


def dark_udp(heatmaps_NKHW: HeatmapsNKHW, blur_kernel: int) -> FloatArray:
    """DARK as mmpose's UDP codec has it: places (N, K, 2).

    Derivatives reach one cell, the map repeats its border, responses are clipped to [0.001, 50], and every peak is
    refined. A map that is nowhere above zero gives (0, 0). Arguments as of `dark`.
    """
    column, row = positive_peak_cell(heatmaps_NKHW)
    found = heatmaps_NKHW.max(axis=(2, 3)) > 0
    logs = np.log(smoothed(heatmaps_NKHW, blur_kernel).clip(UDP_FLOOR, UDP_CEILING))

    def at(dx: int, dy: int) -> FloatArray:
        return response(logs, column + dx, row + dy)

    step = newton_step(
        dx=0.5 * (at(1, 0) - at(-1, 0)),
        dy=0.5 * (at(0, 1) - at(0, -1)),
        dxx=at(1, 0) - 2 * at(0, 0) + at(-1, 0) + UDP_DAMPING,
        dxy=0.5 * (at(1, 1) - at(1, 0) - at(0, 1) + 2 * at(0, 0) - at(-1, 0) - at(0, -1) + at(-1, -1)),
        dyy=at(0, 1) - 2 * at(0, 0) + at(0, -1) + UDP_DAMPING,
    )
    return np.stack([column, row], axis=-1, dtype=np.float64) + np.where(found[..., None], step, 0.0)


def smoothed(heatmaps_NKHW: HeatmapsNKHW, blur_kernel: int) -> NDArray[np.float64]:
    """The maps blurred (zero outside) and scaled so that each has the maximum it had."""
    profile = cv2.getGaussianKernel(blur_kernel, 0)
    blurred = np.empty(heatmaps_NKHW.shape)
    for index in np.ndindex(*heatmaps_NKHW.shape[:2]):
        heatmap = heatmaps_NKHW[index].astype(np.float64)
        blurred[index] = cv2.sepFilter2D(heatmap, -1, profile, profile, borderType=cv2.BORDER_CONSTANT)
    highest = blurred.max(axis=(2, 3), keepdims=True)
    before = heatmaps_NKHW.max(axis=(2, 3), keepdims=True)
    scaled: NDArray[np.float64] = blurred * (before / np.maximum(highest, DARK_FLOOR))
    return scaled


def newton_step(dx: FloatArray, dy: FloatArray, dxx: FloatArray, dxy: FloatArray, dyy: FloatArray) -> FloatArray:
    """Minus the inverse Hessian times the gradient (..., 2), zero where the Hessian has no inverse."""
    determinant = dxx * dyy - dxy**2
    regular = np.abs(determinant) > SMALLEST_DETERMINANT
    divisor = np.where(regular, determinant, 1.0)
    step = np.stack([(dxy * dy - dyy * dx) / divisor, (dxy * dx - dxx * dy) / divisor], axis=-1)
    return np.where(regular[..., None], step, 0.0)
