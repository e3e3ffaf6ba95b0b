"""The keypoint codec: points to heatmaps and back, in one class.

N crops, K keypoints, h x w cells of a heatmap, cell i with its centre at heatmap coordinate i. Where that is in the
crop is the `alignment`; docs/geometry.md sets the conventions side by side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.contract.heatmap_decoding import DECODINGS, HeatmapDecoding
from service.contract.heatmap_encoding import ENCODINGS, HeatmapEncoding, window_meets_map

FloatArray = NDArray[np.floating[Any]]
HeatmapAlignment = Literal["half_pixel", "stride", "udp"]
Pair = tuple[float, float]

DEFAULT_BLUR_KERNEL = 11


@dataclass(frozen=True, slots=True)
class KeypointCodec:
    """Heatmaps of a network: Gaussians with a peak of one.

    Attributes:
        heatmap_width, heatmap_height: cells of a heatmap.
        stride: crop pixels per cell; the crop is `stride` times as large as the heatmap.
        sigma: spread of the encoded Gaussian in cells.
        decoding: `soft_argmax` reads the centre of mass of the whole map; `peak` the maximum refined by a parabola,
            exact for a Gaussian; `quarter_step` that of Simple Baselines and HRNet; `dark` and `dark_udp` the two
            forms of distribution-aware decoding.
        alignment: `half_pixel`, crop = (cell + 0.5) stride - 0.5; `stride`, crop = cell stride; `udp`, crop = cell
            (crop size - 1) / (heatmap size - 1).
        encoding: `gaussian` around the place itself; `rounded_gaussian` around the nearest cell and cut at three sigma;
            `cut_gaussian` around the place itself, cut alike.
        blur_kernel: odd width in cells of the Gaussian by which `dark` and `dark_udp` smooth.
    """

    heatmap_width: int
    heatmap_height: int
    stride: int
    sigma: float
    decoding: HeatmapDecoding
    alignment: HeatmapAlignment = "half_pixel"
    encoding: HeatmapEncoding = "gaussian"
    blur_kernel: int = DEFAULT_BLUR_KERNEL

    @property
    def crop_size(self) -> tuple[int, int]:
        """Width and height of the crop in pixels."""
        return self.heatmap_width * self.stride, self.heatmap_height * self.stride

    @property
    def cell_size(self) -> Pair:
        """Crop pixels from one cell to the next, along x and along y."""
        return _ALIGNMENTS[self.alignment](self)[0]

    @property
    def first_cell(self) -> float:
        """The crop coordinate (both of them) of the centre of cell (0, 0)."""
        return _ALIGNMENTS[self.alignment](self)[1]

    def to_heatmap(self, points_in_crop: FloatArray) -> NDArray[np.float64]:
        """Points (..., 2) from crop pixels to heatmap cells."""
        return np.asarray((points_in_crop - self.first_cell) / np.array(self.cell_size), dtype=np.float64)

    def to_crop(self, points_in_heatmap: FloatArray) -> NDArray[np.float64]:
        """Points (..., 2) from heatmap cells to crop pixels."""
        return np.asarray(points_in_heatmap * np.array(self.cell_size) + self.first_cell, dtype=np.float64)

    def encode(self, points_in_crop: FloatArray) -> NDArray[np.float32]:
        """Heatmaps (..., h, w) for points (..., 2) in crop pixels: Gaussians of peak one, see `encoding`."""
        points = self.to_heatmap(points_in_crop)
        profile = ENCODINGS[self.encoding]
        rows = profile(points[..., 1], self.heatmap_height, self.sigma)
        columns = profile(points[..., 0], self.heatmap_width, self.sigma)
        return (rows[..., :, None] * columns[..., None, :]).astype(np.float32)

    def can_encode(self, points_in_crop: FloatArray) -> NDArray[np.bool_]:
        """Whether a keypoint at points (..., 2) in crop pixels has a place in the heatmap: (...) booleans.

        Elsewhere it does not count in training. For `gaussian` it must lie inside the crop; for the cut ones, as in the
        originals, its window must meet the map.
        """
        if self.encoding == "gaussian":
            inside = (points_in_crop > -0.5) & (points_in_crop < np.array(self.crop_size) - 0.5)
            return np.asarray(inside.all(axis=-1))
        points = self.to_heatmap(points_in_crop)
        meets_x = window_meets_map(points[..., 0], self.heatmap_width, self.sigma)
        return meets_x & window_meets_map(points[..., 1], self.heatmap_height, self.sigma)

    def decode(self, heatmaps_NKHW: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Points (N, K, 2) in crop pixels and scores (N, K): the peak clipped to [0, 1].

        `soft_argmax` needs maps that are nowhere negative; a map that is zero everywhere gives its centre. For
        `quarter_step`, `dark` and `dark_udp` a map that is nowhere above zero gives its cell (0, 0).

        Raises:
            ValueError: the maps are not of this codec's size.
        """
        if heatmaps_NKHW.ndim != 4 or heatmaps_NKHW.shape[2:] != (self.heatmap_height, self.heatmap_width):
            raise ValueError(
                f"expected heatmaps of shape (N, K, {self.heatmap_height}, {self.heatmap_width}), "
                f"found {heatmaps_NKHW.shape}"
            )
        points_in_heatmap = DECODINGS[self.decoding](heatmaps_NKHW, self.blur_kernel)
        scores = heatmaps_NKHW.max(axis=(2, 3)).clip(0.0, 1.0)
        return self.to_crop(points_in_heatmap).astype(np.float32), scores


def _half_pixel(codec: KeypointCodec) -> tuple[Pair, float]:
    return (codec.stride, codec.stride), (codec.stride - 1) / 2


def _stride(codec: KeypointCodec) -> tuple[Pair, float]:
    return (codec.stride, codec.stride), 0.0


def _udp(codec: KeypointCodec) -> tuple[Pair, float]:
    width, height = codec.crop_size
    return ((width - 1) / (codec.heatmap_width - 1), (height - 1) / (codec.heatmap_height - 1)), 0.0


_ALIGNMENTS: dict[HeatmapAlignment, Callable[[KeypointCodec], tuple[Pair, float]]] = {
    "half_pixel": _half_pixel,
    "stride": _stride,
    "udp": _udp,
}
