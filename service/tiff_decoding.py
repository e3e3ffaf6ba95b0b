"""TIFF to pixels: of all that the format allows, what shows a picture."""

import struct

import cv2
import numpy as np
from numpy.typing import NDArray

from service.errors import UnprocessableImage
from service.tiff_tags import ORIENTATION, Tag, read_tags

_BITS, _COMPRESSION, _SAMPLE_FORMAT = 258, 259, 339
_TAKEN = {
    _BITS: ("bits", {1, 2, 4, 8, 16}),
    # None, fax, LZW, JPEG, deflate, PackBits; the JPEG of 1992 has always been a source of crashes.
    _COMPRESSION: ("compression", {1, 2, 3, 4, 5, 7, 8, 32946, 32773}),
    _SAMPLE_FORMAT: ("sample format", {1}),  # whole numbers without a sign
}


def decode_tiff(data: bytes) -> NDArray[np.uint8] | None:
    """The first page as RGB (H, W, 3), as stored; nothing if libtiff finds it broken.

    Raises:
        UnprocessableImage: numbers or a compression that are not taken.
        cv2.error: it cannot be decoded.
    """
    try:
        tags = read_tags(data)
    except (ValueError, struct.error) as error:
        raise UnprocessableImage("the TIFF header is cut off or broken") from error
    for number, (name, taken) in _TAKEN.items():
        found = set(tags[number].values) if number in tags else set()
        if found - taken:
            raise UnprocessableImage(f"the TIFF image has the {name} {min(found - taken)}; {sorted(taken)} are taken")
    upright = _without_orientation(data, tags)
    image = cv2.imdecode(np.frombuffer(upright, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if image is None else np.asarray(image, np.uint8)


def _without_orientation(data: bytes, tags: dict[int, Tag]) -> bytes:
    """OpenCV turns some TIFF images although it is told not to: so the file must not say that it should."""
    if ORIENTATION not in tags:
        return data
    _, position, layout = tags[ORIENTATION]
    changed = bytearray(data)
    struct.pack_into(layout, changed, position, *(1 for _ in tags[ORIENTATION].values))
    return bytes(changed)
