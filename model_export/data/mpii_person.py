"""A person of MPII Human Pose, in MPII's own terms, and the sample that it is to the public codebases.

MPII counts pixels from one (MATLAB), which is taken off here; the box is `annotated_box.mpii_box`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.data.annotated_box import mpii_box
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.errors import DataError

_HEAD_SHARE = 0.6  # MPII's evaluation: SC_BIAS


@dataclass(frozen=True, slots=True)
class MpiiPerson:
    """One annotated person; every coordinate is counted from one.

    Attributes:
        image: name of the picture.
        centre: rough place (x, y) of the person.
        scale: the person's height over 200 pixels.
        points: keypoint index -> (x, y), the labelled ones.
        head: the head's rectangle x1, y1, x2, y2.
    """

    image: str
    centre: tuple[float, float]
    scale: float
    points: dict[int, tuple[float, float]]
    head: Sequence[float] | None


def mpii_sample(person: MpiiPerson, images: Path, keypoint_count: int, where: str) -> KeypointSample:
    """The person as a sample, coordinates counted from zero; `where` becomes its origin.

    Raises:
        DataError: the scale is not above zero, or a keypoint is beyond the `keypoint_count` there are.
    """
    if any(not 0 <= keypoint < keypoint_count for keypoint in person.points):
        raise DataError(f"{where}: expected keypoints 0 to {keypoint_count - 1}, found {sorted(person.points)}")
    points, visible = np.zeros((keypoint_count, 2)), np.zeros(keypoint_count, dtype=bool)
    for keypoint, point in person.points.items():
        points[keypoint], visible[keypoint] = (point[0] - 1.0, point[1] - 1.0), True
    try:
        box = mpii_box(person.centre, person.scale)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error
    head_size = None
    if person.head is not None:
        x1, y1, x2, y2 = person.head
        head_size = _HEAD_SHARE * float(np.hypot(x2 - x1, y2 - y1))
    return KeypointSample(
        read_image=ImageFile(images / person.image),
        points_in_image=points,
        visible=visible,
        origin=where,
        annotated_box=box,
        head_size=head_size or None,
        image_id=person.image,
    )
