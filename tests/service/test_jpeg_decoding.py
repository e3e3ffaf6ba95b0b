"""JPEG: damage is refused where the format lets it be seen, and the oddities of good cameras are not."""

import io
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.errors import UnprocessableImage
from service.jpeg_decoding import decode_jpeg
from tests.fakes import draw_discs

PICTURE = draw_discs()


def save(**options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "JPEG", **{"quality": 90, **options})
    return file.getvalue()


def opencv(data: bytes) -> NDArray[Any]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert image is not None
    return image


GOOD = save()
SCAN = GOOD.index(b"\xff\xda")


def test_pixels_are_those_of_opencv() -> None:
    for options in ({}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}):
        data = save(**options)
        assert np.array_equal(decode_jpeg(data), opencv(data))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_hole_in_the_middle_is_refused_though_opencv_would_not_say_a_word(
    options: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    data = save(**options)
    hole = data.index(b"\xff\xda") + 150
    noise = np.random.default_rng(3).integers(0, 255, 60, dtype=np.uint8).tobytes()  # no marker among them
    damaged = data[:hole] + noise + data[hole + 60 :]
    assert opencv(damaged).shape == PICTURE.shape
    capfd.readouterr()
    with pytest.raises(UnprocessableImage, match="cut off or broken"):
        decode_jpeg(damaged)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "data",
    [
        GOOD[:20] + bytes(608) + GOOD[20:],  # between segments
        GOOD[:SCAN] + bytes(3) + GOOD[SCAN:],
        GOOD[:-2] + bytes(1) + GOOD[-2:],  # at the end
        GOOD[:-2] + bytes(14) + GOOD[-2:],
        GOOD[:20] + bytes(7) + GOOD[20:-2] + bytes(7) + GOOD[-2:],
        GOOD + b"a video, for example \xff\xda" * 200,
        GOOD.replace(b"JFIF\0\x01", b"JFIF\0\x02"),
        GOOD[:2] + b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0\x05" + GOOD[2:],  # transform 5
        GOOD[: SCAN + 11] + b"\x00\x00\x00" + GOOD[SCAN + 14 :],  # as some telephones write it: 0, 0 instead of 0, 63
    ],
)
def test_oddities_of_cameras_change_nothing(data: bytes) -> None:
    assert data != GOOD
    assert np.array_equal(decode_jpeg(data), decode_jpeg(GOOD))


@pytest.mark.parametrize("left_over", [b"\x01" * 20, b"\x12\x34" * 200, bytes(20) + b"\x01"])
def test_bytes_that_are_left_over_at_the_end_mean_damage(left_over: bytes) -> None:
    with pytest.raises(UnprocessableImage, match="extraneous bytes"):
        decode_jpeg(GOOD[:-2] + left_over + GOOD[-2:])


def test_a_ratio_of_colour_to_grey_that_turbojpeg_does_not_know() -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (128, 128, 128)).save(file, "JPEG", subsampling=0)
    data = bytearray(file.getvalue())
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    data[frame + 11], data[frame + 14], data[frame + 17] = 0x21, 0x21, 0x11
    # 32 units of two blocks of Y, two of Cb, one of Cr, all flat: 00 1010 00 1010, 00 00 00 00, 00 00.
    flat = bytes(data[: scan + 14]) + b"\x28\xa0\x00" * 32 + b"\xff\xd9"
    assert np.array_equal(decode_jpeg(flat), np.full((64, 64, 3), 128))


def test_a_flood_of_scans_is_refused_before_the_first() -> None:
    data = save(progressive=True)
    last_scan = data.rindex(b"\xff\xda")
    flood = data[:-2] + data[last_scan:-2] * 200 + data[-2:]
    with pytest.raises(UnprocessableImage, match="more than 100 scans"):
        decode_jpeg(flood)
    # A comment that looks like the end of the image does not hide what follows it.
    comment = b"\xff\xfe\x00\x06\xff\xd9\xff\xd9"
    with pytest.raises(UnprocessableImage, match="more than 100 scans"):
        decode_jpeg(data[:-2] + comment + data[last_scan:-2] * 200 + data[-2:])


def test_a_second_scan_of_a_picture_that_is_complete_is_refused() -> None:
    """Why such a picture's scans need not be counted."""
    with pytest.raises(UnprocessableImage, match="cut off or broken"):
        decode_jpeg(GOOD[:-2] + GOOD[SCAN:-2] * 200 + GOOD[-2:])


def test_scans_of_one_component_each_are_counted() -> None:
    data = bytearray(GOOD)
    assert data[SCAN + 4] == 3  # components of the one scan
    of_first = (
        GOOD[SCAN : SCAN + 2] + b"\x00\x08\x01" + GOOD[SCAN + 5 : SCAN + 7] + b"\x00\x3f\x00" + GOOD[SCAN + 14 : -2]
    )
    with pytest.raises(UnprocessableImage, match="more than 100 scans"):
        decode_jpeg(GOOD[:SCAN] + of_first * 200 + GOOD[-2:])


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def hide_picture(hidden: bytes, gap: int) -> bytes:
    """GOOD, and behind it a picture that comes to light where `gap` zeros are taken out of an application's segment.

    That segment would then take the four bytes behind it for its own, and what they begin, a comment that holds a
    comment's first bytes, would end where the second of them ends: behind GOOD.
    """
    visible = b"\x11" * gap + segment(0xFE, b"end") + GOOD[2:]
    comment = segment(0xFE, b"xxxx" + segment(0xFE, bytes(len(visible)))[:4])
    return GOOD[:2] + segment(0xE5, b"a" * 20 + bytes(gap)) + comment + visible + hidden


@pytest.mark.parametrize("progressive", [True, False])
def test_zeros_within_a_segment_are_no_padding_that_hides_a_second_picture(progressive: bool) -> None:
    """Its scans and its size would be unknown: what is checked is the first."""
    hidden = io.BytesIO()
    Image.new("RGB", (64, 64)).save(hidden, "JPEG", progressive=progressive)
    data = hide_picture(hidden.getvalue()[2:], 8)
    taken_out = data.replace(bytes(8), b"", 1)
    assert decode_jpeg(taken_out).shape == (64, 64, 3)  # so it would be seen
    with pytest.raises(UnprocessableImage, match="8 extraneous bytes before marker"):
        decode_jpeg(data)
