"""Format, size and orientation of an image from its header, before anything is decoded.

A decoder allocates what the header asks for, so the header has to be read first. OpenCV cannot read only that, and the
formats keep it in a handful of bytes: that is less than another dependency. Whatever the bytes say, it takes at most a
few thousand steps: this runs on the event loop.
"""

import struct
from typing import Literal, NamedTuple

from service.errors import UnprocessableImage, UnsupportedMediaType
from service.jpeg_markers import read_jpeg_header
from service.png_chunks import MOST_CHUNKS
from service.tiff_tags import exif_orientation, orientation_of, read_tags

ImageFormat = Literal["JPEG", "PNG", "WebP", "BMP", "TIFF"]

_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_FIRST_THAT_LIES = 5  # of the orientations: from there on the stored picture lies on its side


class ImageHeader(NamedTuple):
    """What the header says.

    Attributes:
        format: by the first bytes.
        width, height: in pixels as stored, before the picture is turned.
        orientation: 1 to 8 as in EXIF, how it has to be turned; 1 where the file says nothing that is valid.
    """

    format: ImageFormat
    width: int
    height: int
    orientation: int

    @property
    def displayed_size(self) -> tuple[int, int]:
        """Width and height of the picture once it is turned."""
        return (self.width, self.height) if self.orientation < _FIRST_THAT_LIES else (self.height, self.width)


def read_header(data: bytes, allow_tiff: bool = False) -> ImageHeader:
    """Format, size and orientation of an encoded image.

    Raises:
        UnsupportedMediaType: the first bytes are of none of the formats.
        UnprocessableImage: the header is cut off, broken, or longer than a header should be.
    """
    image_format = _format_of(data, allow_tiff)
    read = {"JPEG": read_jpeg_header, "PNG": _png, "WebP": _webp, "BMP": _bmp, "TIFF": _tiff}[image_format]
    try:
        width, height, orientation = read(data)
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise UnprocessableImage(f"the {image_format} header is cut off or broken") from error
    if width < 1 or height < 1:
        raise UnprocessableImage(f"the {image_format} header says {width} x {height} pixels")
    return ImageHeader(image_format, width, height, orientation)


def _format_of(data: bytes, allow_tiff: bool) -> ImageFormat:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if data.startswith(b"BM"):
        return "BMP"
    if allow_tiff and data.startswith((b"II*\0", b"MM\0*")):
        return "TIFF"
    expected = "JPEG, PNG, WebP, BMP or TIFF" if allow_tiff else "JPEG, PNG, WebP or BMP"
    raise UnsupportedMediaType(f"expected a {expected} image; the first bytes are of none of them")


def _png(data: bytes) -> tuple[int, int, int]:
    if data[12:16] != b"IHDR":
        raise ValueError("a PNG starts with IHDR")
    width, height = struct.unpack_from(">II", data, 16)
    exif = _chunk(data, 8, b"eXIf", ">I4s", 4)
    return width, height, exif_orientation(exif)


def _webp(data: bytes) -> tuple[int, int, int]:
    chunk = data[12:16]
    if chunk == b"VP8X":
        width = 1 + int.from_bytes(_exactly(data, 24, 3), "little")
        height = 1 + int.from_bytes(_exactly(data, 27, 3), "little")
        return width, height, exif_orientation(_chunk(data, 12, b"EXIF", "<4sI", 0))
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), 1
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF, 1
    raise ValueError(f"unknown first chunk {chunk!r}")


def _chunk(data: bytes, position: int, wanted: bytes, layout: str, after: int) -> bytes:
    """The content of the first chunk of that name, nothing if there is none.

    Args:
        data: the file.
        position: of its first chunk.
        wanted: the name, four bytes.
        layout: of a chunk's start: its length and its name, in either order.
        after: bytes behind the content, which the length leaves out.
    """
    for _ in range(MOST_CHUNKS):
        if position + 8 > len(data):
            return b""
        first, second = struct.unpack_from(layout, data, position)
        name, length = (first, second) if isinstance(first, bytes) else (second, first)
        if name == wanted:
            return data[position + 8 : position + 8 + length]
        # RIFF pads a chunk to an even length.
        position += 8 + length + (after or length % 2)
    raise ValueError(f"expected at most {MOST_CHUNKS} chunks")


def _bmp(data: bytes) -> tuple[int, int, int]:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes == 12:  # OS/2
        width, height = struct.unpack_from("<HH", data, 18)
        return width, height, 1
    width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height), 1  # a negative height means rows from top to bottom


def _tiff(data: bytes) -> tuple[int, int, int]:
    tags = read_tags(data)
    return tags[_TIFF_WIDTH].values[0], tags[_TIFF_HEIGHT].values[0], orientation_of(tags)


def _exactly(data: bytes, offset: int, count: int) -> bytes:
    if offset + count > len(data):
        raise ValueError("cut off")
    return data[offset : offset + count]
