"""The warps of published networks, compared with hand-computed numbers and with the originals' algebra written down."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.contract.crop_transform import WARPS, Box, CropTransform, Warp
from service.contract.model_input import CropInput

Matrix = NDArray[np.float64]

boxes = st.builds(Box, st.floats(-200, 500), st.floats(-200, 500), st.floats(4, 800), st.floats(4, 800))
sizes = st.sampled_from([(192, 256), (256, 256), (288, 384), (256, 192), (64, 48)])

# 60 x 100 at (10, 20) in a crop of 192 x 256: 60 < 100 * 0.75, so the width grows to 75; with 1.25, 93.75 x 125.
TALL = Box(10, 20, 60, 100)
# 120 x 80 in the same crop: 120 > 80 * 0.75, so the height grows to 160; with 1.25, 150 x 200.
WIDE = Box(10, 20, 120, 80)


@pytest.mark.parametrize(
    ("warp", "box", "expected"),
    [
        # 192 / 93.75 = 2.048; (40, 70) -> (96, 128).
        ("top_down", TALL, [[2.048, 0, 14.08], [0, 2.048, -15.36]]),
        # 192 / 150 = 1.28; (70, 60) -> (96, 128).
        ("top_down", WIDE, [[1.28, 0, 6.4], [0, 1.28, 51.2]]),
        # 191 / 93.75, 255 / 125; (40, 70) -> (95.5, 127.5).
        ("udp", TALL, [[2.0373333333, 0, 14.0066666667], [0, 2.04, -15.3]]),
        # 191 / 150, 255 / 200; (70, 60) -> (95.5, 127.5).
        ("udp", WIDE, [[1.2733333333, 0, 6.3666666667], [0, 1.275, 51.0]]),
        # As top_down, with (39.5, 69.5) -> (95.5, 127.5).
        ("half_pixel", TALL, [[2.048, 0, 14.604], [0, 2.048, -14.836]]),
    ],
)
def test_the_matrix_is_the_hand_computed_one(warp: Warp, box: Box, expected: list[list[float]]) -> None:
    assert np.allclose(CropTransform.around(box, 192, 256, 1.25, warp).matrix, expected, atol=1e-9)


def centre_and_scale(box: Box, ratio: float) -> tuple[Matrix, Matrix]:
    """The classical centre and scale of a box, in units of 200 pixels, with 1.25 of padding."""
    width, height = box.width, box.height
    if width > ratio * height:
        height = width / ratio
    elif width < ratio * height:
        width = height * ratio
    return np.array([box.x + box.width * 0.5, box.y + box.height * 0.5]), np.array([width, height]) / 200 * 1.25


def three_point_matrix(centre: Matrix, scale: Matrix, degrees: float, size: tuple[int, int]) -> Matrix:
    """Centre, the point half a width above it (turned), and the third corner of a square, as three equations."""

    def corner(a: Matrix, b: Matrix) -> Matrix:
        across = a - b
        return np.asarray(b + np.array([-across[1], across[0]]))

    reach, angle = scale[0] * 200 * -0.5, np.deg2rad(degrees)
    source_up = np.array([-reach * np.sin(angle), reach * np.cos(angle)])
    middle = np.array(size) * 0.5
    source = [centre, centre + source_up]
    target = [middle, middle + np.array([0, size[0] * -0.5])]
    source.append(corner(source[0], source[1]))
    target.append(corner(target[0], target[1]))
    equations = np.column_stack([np.array(source), np.ones(3)])
    return np.asarray(np.linalg.solve(equations, np.array(target)).T)


@given(box=boxes, size=sizes, degrees=st.floats(-80, 80))
def test_top_down_is_the_affine_map_through_the_originals_three_points(
    box: Box, size: tuple[int, int], degrees: float
) -> None:
    found = CropTransform.around(box, *size, 1.25, "top_down", rotation_degrees=degrees).matrix
    centre, scale = centre_and_scale(box, size[0] / size[1])
    # The original turns the box, hence the content the other way.
    expected = three_point_matrix(centre, scale, -degrees, size)
    assert np.allclose(found, expected, atol=1e-6)


@given(box=boxes, size=sizes, degrees=st.floats(-80, 80))
def test_udp_is_the_originals_warp(box: Box, size: tuple[int, int], degrees: float) -> None:
    found = CropTransform.around(box, *size, 1.25, "udp", rotation_degrees=degrees)
    centre, scale = centre_and_scale(box, size[0] / size[1])
    scale_x, scale_y = (np.array(size) - 1) / (scale * 200)
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    middle = scale * 100
    expected = [
        [cos * scale_x, -sin * scale_x, scale_x * (-centre[0] * cos + centre[1] * sin + middle[0])],
        [sin * scale_y, cos * scale_y, scale_y * (-centre[0] * sin - centre[1] * cos + middle[1])],
    ]
    assert np.allclose(found.matrix, expected, atol=1e-6)


@given(box=boxes, size=sizes, place=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_udp_goes_back_as_the_original_does(box: Box, size: tuple[int, int], place: tuple[float, float]) -> None:
    """From the crop: over (size - 1), times the padded box, plus the centre, minus half the padded box."""
    point = np.array(place) * (np.array(size) - 1)
    centre, scale = centre_and_scale(box, size[0] / size[1])
    expected = point / (np.array(size) - 1) * scale * 200 + centre - scale * 100
    assert np.allclose(CropTransform.around(box, *size, 1.25, "udp").to_image(point), expected, atol=1e-6)


@given(box=boxes, size=sizes, rotation=st.floats(-80, 80), mirrored=st.booleans(), warp=st.sampled_from(sorted(WARPS)))
def test_a_point_returns_from_every_warp(
    box: Box, size: tuple[int, int], rotation: float, mirrored: bool, warp: Warp
) -> None:
    transform = CropTransform.around(box, *size, 1.25, warp, rotation_degrees=rotation, mirrored=mirrored)
    points = np.array([[box.x, box.y], [box.x + box.width, box.y + box.height]])
    # Worst seen: 1e-11 px.
    assert np.abs(transform.to_image(transform.to_crop(points)) - points).max() < 1e-6


@given(box=boxes, size=sizes, x=st.floats(-100, 700), warp=st.sampled_from(["top_down", "udp"]))
def test_a_mirrored_crop_is_that_of_the_mirrored_picture(box: Box, size: tuple[int, int], x: float, warp: Warp) -> None:
    """The originals mirror the picture (x to width - 1 - x) and the centre with it, then crop as ever."""
    image_width, y = 640, 100.0
    mirrored_box = Box(image_width - 1 - box.middle[0] - box.width / 2, box.y, box.width, box.height)
    expected = CropTransform.around(mirrored_box, *size, 1.25, warp).to_crop(np.array([image_width - 1 - x, y]))
    found = CropTransform.around(box, *size, 1.25, warp, mirrored=True).to_crop(np.array([x, y]))
    assert np.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("warp", ["top_down", "udp"])
@pytest.mark.parametrize("box", [TALL, Box(-40, 30, 600, 400)])
def test_the_crop_is_that_of_warp_affine_without_reduction(warp: Warp, box: Box) -> None:
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    transform = CropTransform.around(box, 96, 128, 1.25, warp)
    expected = cv2.warpAffine(image, transform.matrix, (96, 128), flags=cv2.INTER_LINEAR)
    assert np.array_equal(transform.extract(image), expected)


def test_reduction_is_a_choice_of_its_own() -> None:
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::8] = 255
    plain = CropTransform.around(Box.of_image(stripes), 64, 64, 1.0, "top_down").extract(stripes)
    averaged = CropTransform.around(Box.of_image(stripes), 64, 64, 1.0, "top_down", reduction="area").extract(stripes)
    assert plain.max() == 255
    assert averaged[2:-2, 2:-2].max() < 60


def test_a_manifest_without_reduction_has_that_of_its_warp() -> None:
    def reduction(**values: object) -> str:
        return CropInput.model_validate({"width": 64, "height": 64, "padding": 1.25, **values}).reduction

    assert reduction() == "area"
    assert reduction(warp="top_down") == reduction(warp="udp") == "none"
    assert reduction(warp="udp", reduction="area") == "area"
    transform = CropInput(width=64, height=64, padding=1.25, warp="udp").transform(Box(0, 0, 9, 9), 1.25)
    assert transform.reduction == "none"
    assert np.array_equal(transform.matrix, CropTransform.around(Box(0, 0, 9, 9), 64, 64, 1.25, "udp").matrix)
