"""Decoding: every format, every orientation, and what is refused before a pixel is decoded."""

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from service.errors import RequestError, UnprocessableImage, UnsupportedMediaType
from service.image_decoding import decode_image
from service.image_header import read_header
from tests.fakes import draw_discs, encode

PICTURE = draw_discs()
FORMATS = [".jpg", ".png", ".webp", ".bmp"]
PLENTY = 10**9


@pytest.mark.parametrize("suffix", FORMATS)
def test_each_format_decodes_to_rgb(suffix: str) -> None:
    decoded = decode_image(encode(PICTURE, suffix), PLENTY)
    assert decoded.shape == PICTURE.shape
    assert decoded.dtype == np.uint8
    # JPEG and WebP share colours between neighbours; inside the discs they are right.
    assert np.abs(decoded[30, 40].astype(int) - [255, 0, 0]).max() < 40
    assert np.abs(decoded[90, 70].astype(int) - [0, 0, 255]).max() < 40


@pytest.mark.parametrize("suffix", FORMATS)
def test_header_says_the_size_of_each_format(suffix: str) -> None:
    assert read_header(encode(PICTURE, suffix))[1:] == (160, 120)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"quality": 50, "exif": b"Exif\0\0MM\0*"}])
def test_header_of_each_kind_of_webp(options: dict[str, object]) -> None:
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "WEBP", **options)
    assert read_header(file.getvalue())[1:] == (160, 120)


def test_header_of_a_progressive_jpeg_with_a_thumbnail_is_that_of_the_picture() -> None:
    thumbnail = encode(draw_discs(width=32, height=24), ".jpg")
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "JPEG", progressive=True, exif=b"Exif\0\0" + thumbnail)
    assert read_header(file.getvalue())[1:] == (160, 120)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(file_format: str, orientation: int) -> None:
    stored = {
        1: PICTURE,
        2: PICTURE[:, ::-1],
        3: PICTURE[::-1, ::-1],
        4: PICTURE[::-1],
        5: PICTURE.transpose(1, 0, 2),
        6: np.rot90(PICTURE),
        7: PICTURE[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(PICTURE, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(stored)).save(file, file_format, exif=exif, lossless=True, quality=95)
    decoded = decode_image(file.getvalue(), PLENTY)
    assert decoded.shape == PICTURE.shape
    assert np.abs(decoded.astype(int) - PICTURE).mean() < 2


def test_grey_16_bit_and_alpha_become_plain_rgb() -> None:
    grey = PICTURE.max(axis=2)
    assert np.array_equal(decode_image(_png(grey), PLENTY), np.dstack([grey] * 3))
    assert np.array_equal(decode_image(_png(grey.astype(np.uint16) * 257), PLENTY), np.dstack([grey] * 3))
    invisible = np.dstack([PICTURE[:, :, ::-1], np.zeros_like(grey)])
    assert np.array_equal(decode_image(_png(invisible), PLENTY), PICTURE)


def test_too_many_pixels_are_refused_from_the_header_alone() -> None:
    bomb = _png_header(100_000, 100_000)  # 33 bytes that ask for 30 GB; there is nothing to decode behind them
    with pytest.raises(UnprocessableImage, match=r"100000 x 100000 pixels; at most 50000000"):
        decode_image(bomb, 50_000_000)
    decode_image(encode(PICTURE), 160 * 120)
    with pytest.raises(UnprocessableImage, match="160 x 120"):
        decode_image(encode(PICTURE), 160 * 120 - 1)


def test_a_strip_that_is_too_long_is_refused() -> None:
    with pytest.raises(UnprocessableImage, match="on a side"):
        decode_image(_png_header(40_000, 1), 50_000_000)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.97])
def test_a_file_that_is_cut_off_is_refused(suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    whole = encode(noise, suffix)
    with pytest.raises(UnprocessableImage):
        decode_image(whole[: int(len(whole) * share)], PLENTY)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", b"RIFF\0\0\0\0WAVE", bytes(100)])
def test_other_formats_are_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match="expected a JPEG, PNG, WebP or BMP"):
        decode_image(data, PLENTY)


@given(
    start=st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8X", b"BM", b""]),
    rest=st.binary(max_size=60),
)
def test_garbage_is_refused_and_nothing_else_is_raised(start: bytes, rest: bytes) -> None:
    with pytest.raises(RequestError):
        decode_image(start + rest, 10_000)


def _png(pixels: NDArray[Any]) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def _png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
