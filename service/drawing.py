"""Drawing an answer onto its picture."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from service.pipeline import Estimate, Instance

_BONE = (255, 196, 0)
_SURE, _UNSURE = np.array([0.0, 230.0, 118.0]), np.array([255.0, 23.0, 68.0])
_OUTLINE = (0, 0, 0)
_FRACTION_BITS = 4  # sub-pixel positions, as OpenCV takes them: integers in sixteenths


def draw_instances(
    image: NDArray[np.uint8], instances: Sequence[Instance], skeleton: Sequence[tuple[int, int]]
) -> NDArray[np.uint8]:
    """A copy of an RGB picture (H, W, 3) with skeletons and keypoints; a dot turns red as its score falls."""
    drawn = image.copy()
    for instance in instances:
        # Sizes follow the object, so that small faces in a large picture stay recognisable.
        radius = max(1.0, 0.012 * float(np.ptp(instance.points_in_image, axis=0).max()))
        places = [_fixed_point(point) for point in instance.points_in_image]
        for start, end in skeleton:
            thickness = max(1, round(radius / 2))
            cv2.line(drawn, places[start], places[end], _BONE, thickness, cv2.LINE_AA, _FRACTION_BITS)
        for place, score in zip(places, instance.scores, strict=True):
            colour = _UNSURE + float(score) * (_SURE - _UNSURE)
            fixed_radius = round(radius * (1 << _FRACTION_BITS))
            cv2.circle(drawn, place, fixed_radius, colour.tolist(), cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)
            cv2.circle(drawn, place, fixed_radius, _OUTLINE, 1, cv2.LINE_AA, _FRACTION_BITS)
    return drawn


def annotated_png(estimate: Estimate, skeleton: Sequence[tuple[int, int]], image: NDArray[np.uint8]) -> bytes:
    """The PNG file of an RGB picture (H, W, 3) with an estimate drawn on it, compressed fast rather than small."""
    drawn = cv2.cvtColor(draw_instances(image, estimate.instances, skeleton), cv2.COLOR_RGB2BGR)
    written, encoded = cv2.imencode(".png", drawn, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert written, "an array of bytes can be encoded"
    return np.asarray(encoded).tobytes()


def _fixed_point(point: NDArray[np.float64]) -> tuple[int, int]:
    x, y = np.round(point * (1 << _FRACTION_BITS)).astype(int).tolist()
    return x, y
