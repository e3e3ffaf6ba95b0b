"""The eight orientations of EXIF (EXIF 2.32, tag 274): how a stored picture is turned to be seen upright."""

from collections.abc import Callable
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

_TURNS: Final[dict[int, Callable[[Any], Any]]] = {
    2: lambda image: cv2.flip(image, 1),
    3: lambda image: cv2.rotate(image, cv2.ROTATE_180),
    4: lambda image: cv2.flip(image, 0),
    5: cv2.transpose,
    6: lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    7: lambda image: cv2.flip(cv2.transpose(image), -1),
    8: lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def turn_upright(image_HW3: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The picture as displayed; 5 to 8 exchange width and height.

    Args:
        image_HW3: the picture as stored.
        orientation: 1 to 8.
    """
    return image_HW3 if orientation == 1 else np.asarray(_TURNS[orientation](image_HW3), np.uint8)
