"""The crop: its inverse, its picture and its mirror image."""

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.crop_transform import Box, CropTransform

coordinate = st.floats(-5_000, 5_000)
length = st.floats(1, 5_000)
boxes = st.builds(Box, coordinate, coordinate, length, length)
sizes = st.integers(16, 512)


@given(
    box=boxes,
    width=sizes,
    height=sizes,
    padding=st.floats(0.5, 3),
    rotation=st.floats(-180, 180),
    mirrored=st.booleans(),
    share=st.tuples(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5)),
)
def test_a_point_returns_from_every_crop_within_a_thousandth_of_a_pixel(
    box: Box, width: int, height: int, padding: float, rotation: float, mirrored: bool, share: tuple[float, float]
) -> None:
    transform = CropTransform.around(box, width, height, padding, rotation_degrees=rotation, mirrored=mirrored)
    point = np.array([[box.x + share[0] * box.width, box.y + share[1] * box.height]])
    # Worst seen: 1e-9 px.
    assert np.abs(transform.to_image(transform.to_crop(point)) - point).max() < 1e-3


@given(box=boxes, width=sizes, height=sizes)
def test_the_box_is_in_the_middle_and_whole(box: Box, width: int, height: int) -> None:
    transform = CropTransform.around(box, width, height, padding=1.0)
    corners = np.array([[box.x, box.y], [box.x + box.width, box.y + box.height]]) - 0.5
    top_left, bottom_right = transform.to_crop(corners)
    assert np.allclose((top_left + bottom_right) / 2, [(width - 1) / 2, (height - 1) / 2], atol=1e-6)
    assert (top_left >= -0.5 - 1e-6).all()
    assert (bottom_right <= np.array([width, height]) - 0.5 + 1e-6).all()


def test_the_crop_of_the_whole_image_at_its_own_size_is_the_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    transform = CropTransform.around(Box.of_image(image), 64, 48, padding=1.0)
    assert np.array_equal(transform.extract(image), image)


def test_a_mirrored_crop_is_the_mirror_image_of_the_crop() -> None:
    image = np.random.default_rng(1).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    box = Box(10, 5, 30, 30)
    plain = CropTransform.around(box, 32, 32, 1.25).extract(image)
    mirrored = CropTransform.around(box, 32, 32, 1.25, mirrored=True).extract(image)
    assert np.abs(plain[:, ::-1].astype(int) - mirrored).max() <= 1


@pytest.mark.parametrize("side", [40, 100, 400, 1600])
@pytest.mark.parametrize("rotation", [0.0, 25.0])
def test_a_disc_is_found_in_the_crop_where_the_points_say(side: int, rotation: float) -> None:
    """Pixels and points must move by the same map, also where the crop is reduced first (side 400 and 1600)."""
    centre, radius = np.array([side * 0.93, side * 1.11]), side * 0.2
    image = np.zeros((side * 2, side * 2, 3), np.uint8)
    fixed = tuple(int(value) for value in np.round(centre * 16))
    cv2.circle(image, (fixed[0], fixed[1]), round(radius * 16), (255, 255, 255), cv2.FILLED, cv2.LINE_AA, 4)
    box = Box(side * 0.5, side * 0.6, side * 0.9, side)
    transform = CropTransform.around(box, 64, 64, 1.25, rotation_degrees=rotation)
    weight = transform.extract(image)[..., 0].astype(float)
    rows, columns = np.mgrid[:64, :64]
    found = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    # Measured: at most 0.07 crop pixels (the disc itself is drawn on a grid of sixteenths).
    assert np.abs(found - transform.to_crop(np.round(centre * 16) / 16)).max() < 0.12


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::8] = 255  # an eighth of the light; bilinear sampling alone would see 0 or 255
    crop = CropTransform.around(Box.of_image(stripes), 64, 64, 1.0).extract(stripes)
    assert np.abs(crop.astype(int) - 32).max() <= 2


@pytest.mark.parametrize("shape", [(100, 100), (1, 20_000), (20_000, 1)])
def test_a_gigantic_box_on_any_picture_needs_little_memory(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 255, np.uint8)
    tracemalloc.start()
    crop = CropTransform.around(Box(-5e6, -5e6, 1e7, 1e7), 64, 64, 1.25).extract(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert crop.shape == (64, 64, 3)
    assert peak < 20e6


def test_outside_the_image_the_crop_is_black() -> None:
    image = np.full((40, 40, 3), 200, np.uint8)
    for far in (Box(1000, 1000, 50, 50), Box(-5000, 0, 4000, 4000)):
        assert not CropTransform.around(far, 32, 32, 1.0).extract(image).any()
    partly = CropTransform.around(Box(20, 0, 40, 40), 40, 40, 1.0).extract(image)
    assert (partly[:, :20] == 200).all()
    assert not partly[:, 20:].any()


def test_the_box_around_points_covers_their_pixels() -> None:
    box = Box.around(np.array([[3.0, 4.0], [7.0, 9.0]]))
    assert (box.x, box.y, box.width, box.height) == (3.0, 4.0, 5.0, 6.0)
    assert box.centre == (5.0, 6.5)


@pytest.mark.parametrize("values", [(0, 0, 0, 5), (0, 0, 5, -1), (float("nan"), 0, 5, 5), (0, float("inf"), 5, 5)])
def test_an_impossible_box_is_refused(values: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="a box needs"):
        Box(*values)
