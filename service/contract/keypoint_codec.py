"""The keypoint codec: points to heatmaps and back, in one class.

N crops, K keypoints, h x w cells of a heatmap. Cell i has its centre at heatmap coordinate i, and
`crop = (heatmap + 0.5) * stride - 0.5` (alignment `half_pixel`).
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
HeatmapDecoding = Literal["soft_argmax", "peak"]

_SMALLEST_RESPONSE = 1e-12  # log(0) is not a number; responses at or below zero count as this


@dataclass(frozen=True, slots=True)
class KeypointCodec:
    """Heatmaps of our own bundles: Gaussians with a peak of one.

    Attributes:
        heatmap_width, heatmap_height: cells of a heatmap.
        stride: crop pixels per cell.
        sigma: spread of the encoded Gaussian in cells.
        decoding: `soft_argmax` reads the centre of mass of the whole map (integral regression, Sun et al. 2018);
            `peak` reads the maximum, refined by the parabola through the logarithm of it and its two neighbours in x
            and in y, which is exact for a Gaussian.
    """

    heatmap_width: int
    heatmap_height: int
    stride: int
    sigma: float
    decoding: HeatmapDecoding

    def to_heatmap(self, points_in_crop: FloatArray) -> NDArray[np.float64]:
        """Points (..., 2) from crop pixels to heatmap cells."""
        return np.asarray((points_in_crop + 0.5) / self.stride - 0.5, dtype=np.float64)

    def to_crop(self, points_in_heatmap: FloatArray) -> NDArray[np.float64]:
        """Points (..., 2) from heatmap cells to crop pixels."""
        return np.asarray((points_in_heatmap + 0.5) * self.stride - 0.5, dtype=np.float64)

    def encode(self, points_in_crop: FloatArray) -> NDArray[np.float32]:
        """Heatmaps (..., h, w) for points (..., 2) in crop pixels: Gaussians around the sub-pixel place, peak one."""
        points = self.to_heatmap(points_in_crop)
        columns = np.arange(self.heatmap_width) - points[..., 0:1]
        rows = np.arange(self.heatmap_height) - points[..., 1:2]
        falloff = -0.5 / self.sigma**2
        heatmaps = np.exp(falloff * rows**2)[..., :, None] * np.exp(falloff * columns**2)[..., None, :]
        return heatmaps.astype(np.float32)

    def decode(self, heatmaps_NKHW: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Points (N, K, 2) in crop pixels and scores (N, K): the peak clipped to [0, 1].

        `soft_argmax` needs maps that are nowhere negative; a map that is zero everywhere gives its centre.

        Raises:
            ValueError: the maps are not of this codec's size.
        """
        if heatmaps_NKHW.ndim != 4 or heatmaps_NKHW.shape[2:] != (self.heatmap_height, self.heatmap_width):
            raise ValueError(
                f"expected heatmaps of shape (N, K, {self.heatmap_height}, {self.heatmap_width}), "
                f"found {heatmaps_NKHW.shape}"
            )
        read = _centre_of_mass if self.decoding == "soft_argmax" else _refined_peak
        scores = heatmaps_NKHW.max(axis=(2, 3)).clip(0.0, 1.0)
        return self.to_crop(read(heatmaps_NKHW)).astype(np.float32), scores


def _centre_of_mass(heatmaps_NKHW: NDArray[np.float32]) -> FloatArray:
    height, width = heatmaps_NKHW.shape[2:]
    mass_per_column = heatmaps_NKHW.sum(axis=2, dtype=np.float64) + _SMALLEST_RESPONSE
    mass_per_row = heatmaps_NKHW.sum(axis=3, dtype=np.float64) + _SMALLEST_RESPONSE
    x = mass_per_column @ np.arange(width) / mass_per_column.sum(axis=-1)
    y = mass_per_row @ np.arange(height) / mass_per_row.sum(axis=-1)
    return np.stack([x, y], axis=-1)


def _refined_peak(heatmaps_NKHW: NDArray[np.float32]) -> FloatArray:
    N, K, height, width = heatmaps_NKHW.shape
    flat = heatmaps_NKHW.reshape(N, K, height * width)
    row, column = np.divmod(flat.argmax(axis=-1), width)
    # The parabola needs a neighbour on both sides; at the border it is laid through the three cells nearest to it.
    middle_x, middle_y = column.clip(1, width - 2), row.clip(1, height - 2)

    def response(y: NDArray[np.intp], x: NDArray[np.intp]) -> FloatArray:
        values = np.take_along_axis(flat, (y * width + x)[..., None], axis=-1)[..., 0]
        return np.log(np.maximum(values, np.float32(_SMALLEST_RESPONSE)), dtype=np.float64)

    def vertex(before: FloatArray, middle: FloatArray, after: FloatArray) -> FloatArray:
        curvature = before - 2 * middle + after
        is_peak = curvature < -1e-9
        return np.where(is_peak, 0.5 * (before - after) / np.where(is_peak, curvature, 1.0), 0.0).clip(-1.5, 1.5)

    x = middle_x + vertex(response(row, middle_x - 1), response(row, middle_x), response(row, middle_x + 1))
    y = middle_y + vertex(response(middle_y - 1, column), response(middle_y, column), response(middle_y + 1, column))
    return np.stack([x, y], axis=-1)
