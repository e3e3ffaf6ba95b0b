"""The crop: one forward matrix from image to crop pixels, and the inverse computed from it.

Pixel i has its centre at coordinate i, so an image of width W spans -0.5 ... W - 0.5. A box `[x, y, width, height]`
counts whole pixels from the image's corner: `[0, 0, W, H]` is the whole image and its centre lies at (W - 1) / 2.

That is the project's own warp, `half_pixel`. Published networks were trained with two others, which `WARPS` holds to
the letter; docs/geometry.md sets the three side by side.

A request takes this way several times, so what is a handful of numbers is computed in Python's own: numpy takes a
microsecond for each step, whatever the size.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
ImageHW3 = NDArray[np.uint8]
Warp = Literal["half_pixel", "top_down", "udp"]
Reduction = Literal["area", "none"]

# The reduced region is padded to whole blocks: beyond this a block would outgrow the picture it reduces.
_LARGEST_REDUCTION = 64


@dataclass(frozen=True, slots=True)
class Box:
    """A box in image pixels: right edge at x + width, bottom edge at y + height. It may reach outside the image."""

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.x, self.y, self.width, self.height))):
            raise ValueError(f"a box needs four finite numbers, found {self}")
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a box needs a width and a height above zero, found {self.width:g} x {self.height:g}")

    @classmethod
    def of_image(cls, image: ImageHW3) -> Self:
        """The box of the whole picture (H, W, 3)."""
        return cls(0.0, 0.0, float(image.shape[1]), float(image.shape[0]))

    @classmethod
    def around(cls, points_in_image: FloatArray) -> Self:
        """The tightest box around points (K, 2) in image pixels, at least one pixel wide and high."""
        (left, top), (right, bottom) = points_in_image.min(axis=0).tolist(), points_in_image.max(axis=0).tolist()
        # A point is the centre of its pixel, and the box covers that pixel whole.
        return cls(left, top, right - left + 1.0, bottom - top + 1.0)

    @property
    def centre(self) -> tuple[float, float]:
        """The centre (x, y) in image pixels."""
        return self.x + self.width / 2 - 0.5, self.y + self.height / 2 - 0.5

    @property
    def middle(self) -> tuple[float, float]:
        """The centre (x, y) as `top_down` and `udp` have it, half a pixel right of and below `centre`."""
        return self.x + self.width / 2, self.y + self.height / 2


def box_around(centre: tuple[float, float], width: float, height: float, warp: Warp) -> Box:
    """The box of that size in image pixels whose centre, as the warp has it, is a point (x, y)."""
    corner = 0.5 if warp == "half_pixel" else 0.0
    return Box(centre[0] + corner - width / 2, centre[1] + corner - height / 2, width, height)


class View(NamedTuple):
    """What a crop shows of an image before it is turned or mirrored.

    Attributes:
        centre_in_image, centre_in_crop: the point (x, y) about which the crop is scaled, turned and mirrored.
        scale: crop pixels per image pixel along x and along y.
    """

    centre_in_image: tuple[float, float]
    centre_in_crop: tuple[float, float]
    scale: tuple[float, float]


def _half_pixel(box: Box, width: int, height: int, padding: float) -> View:
    """Pixels have an area: the grown box's edges fall on the crop's edges, at -0.5 and size - 0.5."""
    scale = min(width / box.width, height / box.height) / padding
    return View(box.centre, ((width - 1) / 2, (height - 1) / 2), (scale, scale))


def _top_down(box: Box, width: int, height: int, padding: float) -> View:
    """Simple Baselines and HRNet: the point x + w / 2 of the image lies at W / 2 of the crop.

    Their three points (the centre, half a box's width above it, the corner that completes a square) make a similarity
    whose scale is the crop's width over the grown box's width; its height follows.
    """
    scale = min(width / box.width, height / box.height) / padding
    return View(box.middle, (width / 2, height / 2), (scale, scale))


def _udp(box: Box, width: int, height: int, padding: float) -> View:
    """Unbiased data processing (Huang et al. 2020): sizes are distances of the outermost pixels, so W - 1 and H - 1."""
    grown = max(box.width, box.height * width / height) * padding
    scale = (width - 1) / grown, (height - 1) / (grown * height / width)
    return View(box.middle, ((width - 1) / 2, (height - 1) / 2), scale)


WARPS: dict[Warp, Callable[[Box, int, int, float], View]] = {
    "half_pixel": _half_pixel,
    "top_down": _top_down,
    "udp": _udp,
}
# The originals sample the picture as it is, however much it shrinks.
REDUCTIONS: dict[Warp, Reduction] = {"half_pixel": "area", "top_down": "none", "udp": "none"}


@dataclass(frozen=True, slots=True)
class CropTransform:
    """The affine map from image pixels to the pixels of a crop of `width` x `height`.

    Attributes:
        matrix: float64 (2, 3), invertible; `points_in_crop = matrix @ [x, y, 1]`.
        width, height: size of the crop in pixels.
        reduction: what `extract` does where the crop shrinks the picture by two or more: `area` averages first.
    """

    matrix: NDArray[np.float64]
    width: int
    height: int
    reduction: Reduction = "area"

    @classmethod
    def around(
        cls,
        box: Box,
        width: int,
        height: int,
        padding: float,
        warp: Warp = "half_pixel",
        *,
        reduction: Reduction | None = None,
        rotation_degrees: float = 0.0,
        mirrored: bool = False,
    ) -> Self:
        """The crop that shows `box`, grown to the crop's aspect ratio and then by the factor `padding`.

        Args:
            box: in image pixels.
            width, height: size of the crop in pixels.
            padding: 1.25 shows a quarter more than the box in each direction; above zero.
            warp: which pixel convention; one of `WARPS`.
            reduction: that of the warp where it is not given.
            rotation_degrees: turns the picture's content clockwise in the crop (training only).
            mirrored: mirrors the crop left to right after everything else (training only).
        """
        view = WARPS[warp](box, width, height, padding)
        angle = math.radians(rotation_degrees)
        (centre_x, centre_y), (scale_x, scale_y) = view.centre_in_image, view.scale
        along_x = scale_x * math.cos(angle), -scale_x * math.sin(angle)
        along_y = scale_y * math.sin(angle), scale_y * math.cos(angle)
        if mirrored:
            along_x = -along_x[0], -along_x[1]
        rows = [
            (*along, in_crop - along[0] * centre_x - along[1] * centre_y)
            for along, in_crop in zip((along_x, along_y), view.centre_in_crop, strict=True)
        ]
        return cls(np.array(rows), width, height, reduction or REDUCTIONS[warp])

    @property
    def scale(self) -> float:
        """Crop pixels per image pixel."""
        (a, b, _), (c, d, _) = self.matrix.tolist()
        return math.sqrt(abs(a * d - b * c))

    def of_reduced(self, factor: int) -> Self:
        """The same crop out of the image reduced by a whole factor: its pixel j covers `factor` pixels from factor * j.

        Those pixels' mean lies at their middle, (factor - 1) / 2 behind the first.
        """
        if factor == 1:
            return self
        to_full = np.array([[factor, 0.0, (factor - 1) / 2], [0.0, factor, (factor - 1) / 2], [0.0, 0.0, 1.0]])
        return replace(self, matrix=self.matrix @ to_full)

    def extract(self, image: ImageHW3) -> ImageHW3:
        """Cut the crop (height, width, 3) out of an image (H, W, 3), both uint8; outside the image it is black.

        Where the crop shrinks the picture by two or more and `reduction` is `area`, the part that is seen is first
        reduced by a whole factor with area averaging: bilinear sampling alone skips pixels and aliases.
        """
        matrix, source = self.matrix, image
        factor = min(int(1.0 / self.scale + 1e-9), _LARGEST_REDUCTION)
        if factor >= 2 and self.reduction == "area":
            source, matrix = self._reduced(image, factor)
        crop = cv2.warpAffine(
            source, matrix, (self.width, self.height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        return np.asarray(crop, dtype=np.uint8)

    def _reduced(self, image: ImageHW3, factor: int) -> tuple[ImageHW3, NDArray[np.float64]]:
        """The seen part of the image reduced by `factor`, and the matrix from its pixels to the crop's."""
        far_x, far_y = self.width - 0.5, self.height - 0.5
        corners = np.array([(-0.5, -0.5), (far_x, -0.5), (-0.5, far_y), (far_x, far_y)])
        xs, ys = self.to_image(corners).T.tolist()
        # One reduced pixel to spare on each side; whole blocks of `factor` pixels, or positions would shift.
        left, top = max(math.floor(min(xs)) - factor, 0), max(math.floor(min(ys)) - factor, 0)
        right = min(math.ceil(max(xs)) + factor + 1, image.shape[1])
        bottom = min(math.ceil(max(ys)) + factor + 1, image.shape[0])
        if right <= left or bottom <= top:
            return np.zeros((1, 1, 3), np.uint8), self.matrix
        columns, rows = -(-(right - left) // factor), -(-(bottom - top) // factor)
        region = image[top:bottom, left:right]
        pad_x, pad_y = columns * factor - (right - left), rows * factor - (bottom - top)
        if pad_x or pad_y:
            region = cv2.copyMakeBorder(region, 0, pad_y, 0, pad_x, cv2.BORDER_CONSTANT)  # type: ignore[assignment]
        reduced = cv2.resize(region, (columns, rows), interpolation=cv2.INTER_AREA)
        # Reduced pixel j covers image pixels left + j * factor ... + factor - 1: its centre is their mean.
        to_full = np.array(
            [[factor, 0.0, left + (factor - 1) / 2], [0.0, factor, top + (factor - 1) / 2], [0.0, 0.0, 1.0]]
        )
        return np.asarray(reduced, dtype=np.uint8), self.matrix @ to_full

    def to_crop(self, points_in_image: FloatArray) -> NDArray[np.float64]:
        """Points (..., 2) from image pixels to crop pixels."""
        moved: NDArray[np.float64] = points_in_image @ self.matrix[:, :2].T + self.matrix[:, 2]
        return moved

    def to_image(self, points_in_crop: FloatArray) -> NDArray[np.float64]:
        """Points (..., 2) from crop pixels back to image pixels."""
        (a, b, _), (c, d, _) = self.matrix.tolist()
        determinant = a * d - b * c
        inverse = np.array([(d / determinant, -c / determinant), (-b / determinant, a / determinant)])  # transposed
        moved: NDArray[np.float64] = (points_in_crop - self.matrix[:, 2]) @ inverse
        return moved
