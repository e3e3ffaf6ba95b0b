"""Boxes from annotations: hand-computed numbers of the originals' rules."""

import numpy as np
import pytest

from model_export.data.annotated_box import coco_clean_box, mpii_box
from service.contract.crop_transform import Box, CropTransform


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        ((10.0, 20.0, 60.0, 100.0), Box(10, 20, 59, 99)),
        ((-5.0, 20.0, 60.0, 100.0), Box(0, 20, 59, 99)),  # the corner is clipped before the width counts from it
        ((600.0, 400.0, 60.0, 100.0), Box(600, 400, 39, 79)),  # 640 x 480: the last pixels are 639 and 479
        ((10.0, 20.0, 1.0, 100.0), None),
        ((700.0, 20.0, 60.0, 100.0), None),
    ],
)
def test_cocos_clean_box(bbox: tuple[float, float, float, float], expected: Box | None) -> None:
    assert coco_clean_box(*bbox, 640, 480) == expected


def test_mpiis_square_is_shifted_before_one_is_taken_off() -> None:
    # y: 257 + 15 * 3.2 - 1 = 304, x: 594 - 1 = 593; side 640.
    box = mpii_box((594.0, 257.0), 3.2)
    assert (box.x, box.y, box.width, box.height) == pytest.approx((273.0, -16.0, 640.0, 640.0))
    assert box.middle == pytest.approx((593.0, 304.0))


def test_mpiis_crop_is_the_originals() -> None:
    """The whole original in its own units: c, s, then the similarity to the middle of 256 x 256."""
    c, s = np.array([594.0, 257.0]), 3.2
    c[1] = c[1] + 15 * s
    s = s * 1.25
    c = c - 1
    point_counted_from_one = np.array([620.0, 394.0])
    expected = (point_counted_from_one - 1 - c) * 256 / (s * 200) + 128
    transform = CropTransform.around(mpii_box((594.0, 257.0), 3.2), 256, 256, 1.25, "top_down")
    assert np.allclose(transform.to_crop(point_counted_from_one - 1), expected)


@pytest.mark.parametrize(("centre", "scale"), [((-1.0, -1.0), 1.0), ((5.0, 5.0), 0.0), ((5.0, 5.0), -1.0)])
def test_an_object_that_is_not_annotated_is_refused(centre: tuple[float, float], scale: float) -> None:
    with pytest.raises(ValueError, match="expected a centre and a scale above zero"):
        mpii_box(centre, scale)
