"""One annotated object in one picture, whatever format it came from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.errors import DataError
from service.contract.crop_transform import Box, ImageHW3


@dataclass(frozen=True, slots=True)
class KeypointSample:
    """One annotated object.

    Attributes:
        read_image: gives the picture, RGB uint8 (H, W, 3).
        points_in_image: float64 (K, 2), x right and y down in image pixels; meaningless where not visible.
        visible: bool (K,): the keypoint is labelled with coordinates that mean something (COCO: v > 0).
        origin: where the sample comes from, for error messages.
        annotated_box: the box that the annotations give, in image pixels.
        area: of the object in square pixels, as COCO's `area`.
        head_size: in image pixels; MPII's: 0.6 times the diagonal of the head's box, the unit of PCKh.
        box_size: in image pixels, the length that the annotations divide errors by (AFLW).
        mm_per_pixel: of a picture with a known scale, such as an X-ray.
        image_id: the same for all samples of one picture.
    """

    read_image: Callable[[], ImageHW3]
    points_in_image: NDArray[np.float64]
    visible: NDArray[np.bool_]
    origin: str
    annotated_box: Box | None = None
    area: float | None = None
    head_size: float | None = None
    box_size: float | None = None
    mm_per_pixel: float | None = None
    image_id: str = ""

    @property
    def box(self) -> Box:
        """The annotated box, else the tightest one around the visible keypoints; in image pixels."""
        return self.annotated_box or Box.around(self.points_in_image[self.visible])


@dataclass(frozen=True, slots=True)
class ImageFile:
    """Reads one picture file as RGB uint8 (H, W, 3), turned as its EXIF orientation says."""

    path: Path

    def __call__(self) -> ImageHW3:
        """Read the picture.

        Raises:
            DataError: the file is missing or is not a picture.
        """
        try:
            encoded: NDArray[Any] = np.fromfile(self.path, dtype=np.uint8)
        except OSError as error:
            raise DataError(f"picture {self.path} cannot be read: {error.strerror}") from error
        except ValueError as error:  # a NUL character in the name
            raise DataError(f"picture {str(self.path)!r} cannot be read: {error}") from error
        try:
            pixels = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB) if encoded.size else None
        except cv2.error as error:  # a header that promises more pixels than OpenCV takes
            raise DataError(f"picture {self.path} cannot be decoded: {error.err}") from error
        if pixels is None:
            raise DataError(f"picture {self.path} cannot be decoded: expected a JPEG, PNG, WebP or BMP file")
        return np.asarray(pixels, dtype=np.uint8)
