"""Pictures decoded at less than their size: only where it costs a crop nothing, and every pixel in its place."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from service.contract.crop_transform import Box, CropTransform
from service.image_decoding import check_header, decode_image, decode_reduced
from service.image_header import ImageHeader
from service.reduced_decoding import possible_reduction
from tests.fakes import CROP_HEIGHT, CROP_WIDTH

PLENTY = 10**9
# In grey levels. Measured: 0.29, 0.44, 1.82; with the reduced picture taken for half a pixel aside: 0.90, 1.67, 2.91.
LARGEST_MEAN_DIFFERENCE = {2: 0.5, 4: 0.9, 8: 2.3}
COARSE = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
LARGE = np.asarray(cv2.resize(COARSE, (1600, 1200), interpolation=cv2.INTER_CUBIC), np.uint8)


def jpeg(picture: object, orientation: int = 1) -> bytes:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(np.asarray(picture, np.uint8)).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


def crop(width: float, **changes: object) -> CropTransform:
    """A crop that shrinks a box of this width to 64 pixels."""
    return CropTransform.around(Box(10, 20, width, width), 64, 64, 1.0, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "widths", "expected"),
    [
        (("JPEG", 4000, 3000, 1), [64 * 24], 8),
        (("JPEG", 4000, 3000, 1), [64 * 23.9], 4),
        (("JPEG", 4000, 3000, 1), [64 * 6], 2),
        (("JPEG", 4000, 3000, 1), [64 * 5.9], 1),
        (("JPEG", 4000, 3000, 1), [64 * 24, 64 * 6], 2),  # the finest crop decides
        (("JPEG", 4000, 3000, 1), [], 1),
        (("JPEG", 4001, 3003, 1), [64 * 24], 8),
        (("JPEG", 4000, 3000, 6), [64 * 24], 8),
        (("JPEG", 4004, 3000, 6), [64 * 24], 4),  # turned, the last column comes first
        (("JPEG", 4001, 3000, 3), [64 * 24], 1),
        (("PNG", 4000, 3000, 1), [64 * 24], 1),
    ],
)
def test_the_reduction_costs_no_crop_anything(
    header: tuple[str, int, int, int], widths: list[float], expected: int
) -> None:
    assert possible_reduction(ImageHeader(*header), [crop(width) for width in widths]) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("warp", ["top_down", "udp"])
def test_a_warp_that_samples_the_picture_as_it_is_gets_it_as_it_is(warp: str) -> None:
    assert possible_reduction(ImageHeader("JPEG", 4000, 3000, 1), [crop(64 * 24, warp=warp)]) == 1


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_of_the_reduced_picture_is_that_of_the_full_one(factor: int, orientation: int) -> None:
    data = jpeg(LARGE, orientation)
    header = check_header(data, PLENTY)
    full = decode_image(data, PLENTY)
    picture = decode_reduced(data, header, factor)
    assert picture.reduced_by == factor
    assert (picture.height, picture.width) == full.shape[:2]
    assert picture.image.shape[:2] == (picture.height // factor, picture.width // factor)
    # A place that is no multiple of the factor.
    size = 3 * factor * CROP_WIDTH
    transform = CropTransform.around(Box(203.3, 101.7, size, size), CROP_WIDTH, CROP_HEIGHT, 1.0)
    expected = transform.extract(full).astype(float)
    found = transform.of_reduced(factor).extract(picture.image).astype(float)
    assert np.abs(found - expected).mean() < LARGEST_MEAN_DIFFERENCE[factor]
    assert expected.std() > 10


def test_a_last_block_that_is_not_whole_moves_nothing() -> None:
    data = jpeg(LARGE[:1197, :1595])
    picture = decode_reduced(data, check_header(data, PLENTY), 8)
    assert picture.image.shape == (150, 200, 3)
    assert (picture.width, picture.height) == (1595, 1197)
    transform = CropTransform.around(Box(700, 400, 800, 700), CROP_WIDTH, CROP_HEIGHT, 1.0)
    difference = transform.of_reduced(8).extract(picture.image).astype(float) - transform.extract(LARGE)
    assert np.abs(difference).mean() < 1.2  # measured: 0.56


def test_a_grey_picture_is_reduced_too() -> None:
    grey = jpeg(LARGE.max(axis=2))
    assert decode_reduced(grey, check_header(grey, PLENTY), 4).image.shape == (300, 400, 3)
