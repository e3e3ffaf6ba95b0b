"""Encoded bytes to RGB pixels, refusing at the door what would cost too much."""

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from service.errors import UnprocessableImage
from service.image_header import ImageFormat, ImageHeader, read_header
from service.image_orientation import turn_upright
from service.jpeg_decoding import Reduction, decode_jpeg
from service.png_chunks import keep_pixels_only
from service.reduced_decoding import DecodedPicture
from service.tiff_decoding import decode_tiff

# The crop first shrinks a picture in whole blocks; a strip far longer than this would be padded to gigabytes there.
MAX_SIDE_PIXELS = 20_000


def silence_native_libraries() -> None:
    """Keep what OpenCV thinks of strangers' files off the error stream; once, at the start of a process.

    OpenCV speaks for libtiff. libpng prints one line of its own for a file that has the right sums and does not unpack.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def check_header(data: bytes, max_pixels: int, allow_tiff: bool = False) -> ImageHeader:
    """What the header of an image says, if that may be decoded; takes microseconds and allocates nothing.

    Args:
        data: an encoded picture, as for `decode_image`.
        max_pixels: the most pixels, width times height.
        allow_tiff: whether TIFF is taken.

    Raises:
        UnsupportedMediaType: another format.
        UnprocessableImage: more pixels than allowed, or a header that is cut off or broken.
    """
    header = read_header(data, allow_tiff)
    size = f"the {header.format} image has {header.width} x {header.height} pixels"
    if header.width * header.height > max_pixels:
        raise UnprocessableImage(f"{size}; at most {max_pixels} pixels are taken")
    if max(header.width, header.height) > MAX_SIDE_PIXELS:
        raise UnprocessableImage(f"{size}; at most {MAX_SIDE_PIXELS} are taken on a side")
    return header


def decode_image(data: bytes, max_pixels: int, allow_tiff: bool = False) -> NDArray[np.uint8]:
    """The picture as displayed: RGB (H, W, 3), turned once as its EXIF orientation says; safe in several threads.

    Grey becomes three equal channels, 16 bits become 8, CMYK becomes RGB without a profile, an alpha channel is dropped
    (the colours beneath it are seen), of an animation or a file of several pages the first is taken.

    Args:
        data: a JPEG, PNG, WebP, BMP or TIFF file; its first bytes decide, not its name or content type.
        max_pixels: the most pixels, width times height, read from the header before anything is decoded.
        allow_tiff: whether TIFF is taken.

    Raises:
        UnsupportedMediaType: another format.
        UnprocessableImage: more pixels than allowed, or the file is cut off or broken.
    """
    return decode_reduced(data, check_header(data, max_pixels, allow_tiff), 1).image


def decode_reduced(data: bytes, header: ImageHeader, reduce_by: int) -> DecodedPicture:
    """As `decode_image`, at a part of its size where the file allows that.

    Args:
        data: an encoded picture.
        header: what `check_header` found of it.
        reduce_by: 1, or what `possible_reduction` gave for it.

    Raises:
        UnprocessableImage: the file is cut off or broken.
    """
    reduced = -(-header.width // reduce_by), -(-header.height // reduce_by)
    try:
        if reduce_by > 1:
            image: NDArray[np.uint8] | None = decode_jpeg(data, Reduction(reduced[1], reduced[0], reduce_by))
        else:
            image = _DECODERS[header.format](data)
    except (cv2.error, ValueError, struct.error) as error:
        raise UnprocessableImage(f"the {header.format} image is cut off or broken") from error
    if image is None:
        raise UnprocessableImage(f"the {header.format} image is cut off or broken")
    height, width = image.shape[:2]
    if (width, height) == (header.width, header.height):
        reduce_by = 1
    elif (width, height) != reduced:
        found = f"its pixels are {width} x {height}"
        raise UnprocessableImage(f"the {header.format} header says {header.width} x {header.height}, {found}")
    return DecodedPicture(turn_upright(image, header.orientation), reduce_by, *header.displayed_size)


def _decode_png(data: bytes) -> NDArray[np.uint8] | None:
    return _decode(keep_pixels_only(data))


def _decode_webp(data: bytes) -> NDArray[np.uint8] | None:
    (length,) = struct.unpack_from("<I", data, 4)
    if len(data) < 8 + length:
        raise ValueError("cut off")
    return _decode(data)


def _decode(data: bytes) -> NDArray[np.uint8] | None:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if image is None else np.asarray(image, np.uint8)


_DECODERS: Final[Mapping[ImageFormat, Callable[[bytes], NDArray[np.uint8] | None]]] = MappingProxyType(
    {"JPEG": decode_jpeg, "PNG": _decode_png, "WebP": _decode_webp, "BMP": _decode, "TIFF": decode_tiff}
)
