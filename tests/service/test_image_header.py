"""Format, size and orientation are read from a few bytes, however many a stranger sends."""

import io
import struct
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from service.errors import RequestError, UnprocessableImage, UnsupportedMediaType
from service.image_header import ImageHeader, read_header
from tests.fakes import draw_discs, encode

PICTURE = Image.fromarray(draw_discs())
MEGABYTES = 20_000_000


def save(file_format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    PICTURE.save(file, file_format, **options)
    return file.getvalue()


def exif(entry: bytes = struct.pack("<HHIHH", 274, 3, 1, 6, 0), count: int = 1) -> bytes:
    return b"II*\0" + struct.pack("<IH", 8, count) + entry + bytes(4)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WebP", "BMP", "TIFF"])
def test_header_of_each_format(file_format: str) -> None:
    assert read_header(save(file_format), allow_tiff=True) == ImageHeader(file_format, 160, 120, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"quality": 50, "exif": b"Exif\0\0MM\0*"}])
def test_header_of_each_kind_of_webp(options: dict[str, object]) -> None:
    assert read_header(save("WEBP", **options)) == ImageHeader("WebP", 160, 120, 1)


def test_header_of_a_progressive_jpeg_with_a_thumbnail_is_that_of_the_picture() -> None:
    thumbnail = encode(draw_discs(width=32, height=24), ".jpg")
    data = save("JPEG", progressive=True, exif=b"Exif\0\0" + thumbnail)
    assert read_header(data) == ImageHeader("JPEG", 160, 120, 1)


def test_tiff_in_both_byte_orders_and_by_permission_only() -> None:
    entries = [(256, 3, 1, 7), (257, 4, 1, 5), (274, 3, 1, 8)]
    little = b"II*\0" + struct.pack("<IH", 8, 3)
    little += b"".join(struct.pack("<HHII", *entry) for entry in entries)
    big = b"MM\0*" + struct.pack(">IH", 8, 3)
    for tag, kind, count, value in entries:
        big += struct.pack(">HHI", tag, kind, count)
        big += struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value)
    for data in (little, big):
        assert read_header(data, allow_tiff=True) == ImageHeader("TIFF", 7, 5, 8)
        with pytest.raises(UnsupportedMediaType, match="expected a JPEG, PNG, WebP or BMP image"):
            read_header(data)
    with pytest.raises(UnsupportedMediaType, match="BMP or TIFF"):  # BigTIFF
        read_header(save("TIFF", big_tiff=True), allow_tiff=True)


CARRIERS: dict[str, Callable[[bytes], bytes]] = {
    "JPEG": lambda block: save("JPEG", exif=b"Exif\0\0" + block),
    "PNG": lambda block: save("PNG", exif=block),
    "PNG, behind its pixels": lambda block: _with_last_chunk(save("PNG"), block),
    "WebP": lambda block: save("WEBP", exif=block),
    "WebP, with a prefix": lambda block: save("WEBP", exif=b"Exif\0\0" + block),
}


def _with_last_chunk(png: bytes, block: bytes) -> bytes:
    body = b"eXIf" + block
    return png[:-12] + struct.pack(">I", len(block)) + body + struct.pack(">I", zlib.crc32(body)) + png[-12:]


BROKEN = {
    "cut off": exif()[:15],
    "a value of 0": exif(struct.pack("<HHIHH", 274, 3, 1, 0, 0)),
    "a value of 9": exif(struct.pack("<HHIHH", 274, 3, 1, 9, 0)),
    "another type": exif(struct.pack("<HHIHH", 274, 2, 1, 6, 0)),
    "no values": exif(struct.pack("<HHIHH", 274, 3, 0, 6, 0)),
    "values far away": exif(struct.pack("<HHII", 274, 3, 9, 2**32 - 1)),
    "too many entries": exif(count=65_535),
    "no byte order": b"XX" + exif()[2:],
    "a directory far away": b"II*\0\xff\xff\xff\xff",
    "nothing": b"Exif",
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_orientation_is_read_where_it_stands(carrier: str) -> None:
    assert read_header(CARRIERS[carrier](exif())).orientation == 6
    assert read_header(CARRIERS[carrier](exif(struct.pack("<HHII", 274, 4, 1, 8)))).orientation == 8


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("damage", BROKEN)
def test_broken_exif_is_no_orientation_and_no_error(carrier: str, damage: str) -> None:
    assert read_header(CARRIERS[carrier](BROKEN[damage])) == ImageHeader(carrier[:4].rstrip(","), 160, 120, 1)  # type: ignore[arg-type]


def _many(piece: bytes) -> bytes:
    return piece * (MEGABYTES // len(piece))


HOSTILE = {
    "JPEG of fill bytes": b"\xff\xd8" + _many(b"\xff"),
    "JPEG of restart markers": b"\xff\xd8" + _many(b"\xff\xd0"),
    "JPEG of zeros": b"\xff\xd8\xff" + _many(b"\0"),
    "JPEG of stuffed bytes": b"\xff\xd8" + _many(b"\xff\x00"),
    "JPEG of empty segments": b"\xff\xd8" + _many(b"\xff\xe0\x00\x02"),
    "JPEG of EXIF": b"\xff\xd8" + _many(b"\xff\xe1\xff\xffExif\0\0MM\0*\0\0\0\x08\x02\x00" + bytes(65_517)),
    "PNG of empty chunks": save("PNG")[:33] + _many(bytes(4) + b"tEXt" + struct.pack(">I", zlib.crc32(b"tEXt"))),
    "WebP of empty chunks": save("WEBP", exif=exif())[:30] + _many(b"abcd\0\0\0\0"),
    "BMP": b"BM" + _many(b"\xff"),
    "TIFF of tags": b"II*\0\x08\0\0\0\xff\xff" + _many(struct.pack("<HHIHH", 274, 3, 1, 6, 0)),
    "TIFF of long tags": b"II*\0\x08\0\0\0\x00\x02" + _many(struct.pack("<HHIHH", 274, 3, 16, 6, 0)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_twenty_hostile_megabytes_take_a_bounded_number_of_steps(name: str) -> None:
    steps = 0

    def count(*_: object) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)  # every call and return, of Python and of C
    try:
        with pytest.raises(UnprocessableImage):
            read_header(HOSTILE[name], allow_tiff=True)
    finally:
        sys.setprofile(None)
    assert steps < 70_000  # 48,000 for a PNG or WebP of 8000 empty chunks; a step for each would be millions


def test_padding_between_the_segments_of_a_jpeg_is_skipped_up_to_a_limit() -> None:
    data = save("JPEG")
    assert read_header(data[:2] + b"\xff" * 60_000 + data[2:])[1:3] == (160, 120)
    assert read_header(data[:20] + bytes(608) + data[20:])[1:3] == (160, 120)
    with pytest.raises(UnprocessableImage):
        read_header(data[:2] + b"\xff" * 66_000 + data[2:])


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_a_header_that_is_cut_off_is_an_error_of_the_request(file_format: str) -> None:
    data = save(file_format)
    for length in range(30):
        with pytest.raises(RequestError):
            read_header(data[:length] if length < 24 or file_format == "JPEG" else data[:8], allow_tiff=True)
