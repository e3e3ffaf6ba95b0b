"""Encoded bytes to RGB pixels, refusing at the door what would cost too much."""

import cv2
import numpy as np
from numpy.typing import NDArray

from service.errors import UnprocessableImage
from service.image_header import ImageHeader, read_header

# The crop first shrinks a picture in whole blocks; a strip far longer than this would be padded to gigabytes there.
MAX_SIDE_PIXELS = 20_000


def check_header(data: bytes, max_pixels: int) -> ImageHeader:
    """What the header of an image says, if that may be decoded; takes microseconds and allocates nothing.

    Args:
        data: an encoded picture, as for `decode_image`.
        max_pixels: the most pixels, width times height.

    Raises:
        UnsupportedMediaType: another format.
        UnprocessableImage: more pixels than allowed, or a header that is cut off or broken.
    """
    header = read_header(data)
    size = f"the {header.format} image has {header.width} x {header.height} pixels"
    if header.width * header.height > max_pixels:
        raise UnprocessableImage(f"{size}; at most {max_pixels} pixels are taken")
    if max(header.width, header.height) > MAX_SIDE_PIXELS:
        raise UnprocessableImage(f"{size}; at most {MAX_SIDE_PIXELS} are taken on a side")
    return header


def decode_image(data: bytes, max_pixels: int) -> NDArray[np.uint8]:
    """The picture as displayed: RGB (H, W, 3), turned once as its EXIF orientation says.

    Grey becomes three equal channels, 16 bits become 8, an alpha channel is dropped (the colours beneath it are seen),
    of an animation the first frame is taken.

    Args:
        data: a JPEG, PNG, WebP or BMP file; its first bytes decide, not its name or content type.
        max_pixels: the most pixels, width times height, read from the header before anything is decoded.

    Raises:
        UnsupportedMediaType: another format.
        UnprocessableImage: more pixels than allowed, or the file is cut off or broken.
    """
    header = check_header(data, max_pixels)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise UnprocessableImage(f"the {header.format} image cannot be decoded") from error
    if image is None:
        raise UnprocessableImage(f"the {header.format} image is cut off or broken")
    return np.asarray(image, dtype=np.uint8)
