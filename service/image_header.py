"""Format and size of an image from its first bytes, before anything is decoded.

A decoder allocates what the header asks for, so the header has to be read first. OpenCV cannot read only that, and the
four formats keep their size in a handful of bytes: that is less than another dependency.
"""

import struct
from typing import Literal, NamedTuple

from service.errors import UnprocessableImage, UnsupportedMediaType

ImageFormat = Literal["JPEG", "PNG", "WebP", "BMP"]

# Start-of-frame markers carry the size; C4, C8 and CC lie in their range and mean other things.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


class ImageHeader(NamedTuple):
    """What the header says; width and height in pixels as stored, before EXIF turns the picture."""

    format: ImageFormat
    width: int
    height: int


def read_header(data: bytes) -> ImageHeader:
    """Format and size of an encoded image.

    Raises:
        UnsupportedMediaType: the first bytes are of none of the formats.
        UnprocessableImage: the header is cut off or broken.
    """
    image_format = _format_of(data)
    read_size = {"JPEG": _jpeg_size, "PNG": _png_size, "WebP": _webp_size, "BMP": _bmp_size}[image_format]
    try:
        width, height = read_size(data)
    except (struct.error, IndexError, ValueError) as error:
        raise UnprocessableImage(f"the {image_format} header is cut off or broken") from error
    if width < 1 or height < 1:
        raise UnprocessableImage(f"the {image_format} header says {width} x {height} pixels")
    return ImageHeader(image_format, width, height)


def _format_of(data: bytes) -> ImageFormat:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith(b"BM"):
        return "BMP"
    raise UnsupportedMediaType("expected a JPEG, PNG, WebP or BMP image; the first bytes are of none of them")


def _png_size(data: bytes) -> tuple[int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError("a PNG starts with IHDR")
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def _bmp_size(data: bytes) -> tuple[int, int]:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes == 12:  # OS/2
        width, height = struct.unpack_from("<HH", data, 18)
        return width, height
    width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)  # a negative height means rows from top to bottom


def _webp_size(data: bytes) -> tuple[int, int]:
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(_exactly(data, 24, 3), "little"), 1 + int.from_bytes(_exactly(data, 27, 3), "little")
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError(f"unknown first chunk {chunk!r}")


def _exactly(data: bytes, offset: int, count: int) -> bytes:
    if offset + count > len(data):
        raise ValueError("cut off")
    return data[offset : offset + count]


def _jpeg_size(data: bytes) -> tuple[int, int]:
    position = 2
    while True:
        if data[position] != 0xFF:
            raise ValueError("a marker was expected")
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            position += 2
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        else:
            (length,) = struct.unpack_from(">H", data, position + 2)
            position += 2 + length
