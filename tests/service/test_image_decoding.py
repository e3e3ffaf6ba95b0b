"""Decoding: every format, every orientation, and what is refused before a pixel is decoded."""

import io
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
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


MODES = {
    "JPEG": ["L", "RGB", "CMYK"],
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "WEBP": ["L", "RGB", "RGBA"],
    "BMP": ["1", "L", "P", "RGB", "RGBA"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
}


@pytest.mark.parametrize(("file_format", "mode"), [(name, mode) for name, modes in MODES.items() for mode in modes])
def test_every_kind_of_pixel_decodes_as_in_pillow(file_format: str, mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(PICTURE.max(axis=2).astype(np.uint16) * 257)
        expected = np.dstack([PICTURE.max(axis=2)] * 3)
    else:
        image = Image.fromarray(PICTURE).convert("RGBA" if mode == "LA" else mode).convert(mode)
    data = _saved(image, file_format, **({"lossless": True} if file_format == "WEBP" else {}))
    if mode != "I;16":
        with Image.open(io.BytesIO(data)) as opened:
            expected = np.asarray(opened.convert("RGB"))
    decoded = decode_image(data, PLENTY, allow_tiff=True)
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype(int) - expected).max() <= (1 if mode == "CMYK" else 0)  # measured: 1 for CMYK


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {"progressive": True}),
        ("JPEG", {"subsampling": "4:2:2"}),
        ("JPEG", {"restart_marker_rows": 1}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "packbits"}),
        ("WEBP", {"quality": 50}),
    ],
)
def test_every_kind_of_coding_decodes_as_in_pillow(file_format: str, options: dict[str, Any]) -> None:
    data = _saved(Image.fromarray(PICTURE), file_format, **options)
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGB"))
    assert np.array_equal(decode_image(data, PLENTY, allow_tiff=True), expected)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_of_several_frames_or_pages_the_first_is_taken(file_format: str) -> None:
    others = [Image.fromarray(np.full_like(PICTURE, level)) for level in (90, 160)]
    lossless = {"lossless": True} if file_format == "WEBP" else {}
    data = _saved(Image.fromarray(PICTURE), file_format, save_all=True, append_images=others, **lossless)
    assert np.array_equal(decode_image(data, PLENTY, allow_tiff=True), PICTURE)


def test_tiff_of_other_numbers_is_refused() -> None:
    grey = PICTURE.max(axis=2).astype(np.float32)
    data = _saved(Image.fromarray(grey), "TIFF")
    with pytest.raises(UnprocessableImage, match=r"the TIFF image has the bits 32; \[1, 2, 4, 8, 16\] are taken"):
        decode_image(data, PLENTY, allow_tiff=True)


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


REFUSE_BOMB = """
import resource, sys
from service.errors import UnprocessableImage
from service.image_decoding import decode_image
bomb = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_image(bomb, 50_000_000)
except UnprocessableImage as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def _bomb() -> bytes:
    """A valid PNG of 12,000 x 12,000 black pixels in 140 KB, which asks for 432 MB; made of one piece, repeated."""
    rows = bytes(1500 * (1 + 12_000))
    packer = zlib.compressobj(9)
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(rows) + packer.flush(zlib.Z_FULL_FLUSH)
    start, piece = (start, piece) if start else (piece[:2], piece[2:])
    adler = struct.pack(">I", zlib.adler32(bytes(8 * len(rows))))
    pixels = start + 8 * piece + b"\x03\0" + adler
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 12_000, 12_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def test_a_bomb_is_refused_without_its_memory() -> None:
    bomb = _bomb()
    assert len(bomb) < 200_000
    # In a process of its own: the peak of this one has been anywhere.
    done = subprocess.run([sys.executable, "-c", REFUSE_BOMB], input=bomb, capture_output=True, check=True, timeout=60)
    refusal, kilobytes = done.stdout.decode().splitlines()
    assert "12000 x 12000 pixels; at most 50000000" in refusal
    assert int(kilobytes) < 2000  # measured: 0


def test_pixels_of_another_size_than_the_header_says_are_refused() -> None:
    data = bytearray(_saved(Image.fromarray(PICTURE), "WEBP", exif=b"MM\0*"))
    assert data[12:16] == b"VP8X"
    data[24] += 2  # the canvas is wider than the picture on it
    with pytest.raises(UnprocessableImage, match=r"header says 162 x 120, its pixels are|cut off or broken"):
        decode_image(bytes(data), PLENTY)


def test_several_threads_decode_at_once() -> None:
    files = [encode(draw_discs(width=200 + index), suffix) for index, suffix in enumerate(FORMATS * 3)]
    alone = [decode_image(data, PLENTY) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: decode_image(data, PLENTY), files * 10))
    assert all(np.array_equal(one, other) for one, other in zip(alone * 10, together, strict=True))


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


def _saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def _png(pixels: NDArray[Any]) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def _png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
