"""JPEG to pixels, refusing what is damaged.

OpenCV swallows the warnings of libjpeg, which are all that it says of damage: a picture whose lower half is noise would
pass. simplejpeg raises on them; it is the same libjpeg-turbo. But not every warning means damage.
"""

import re
import struct
from typing import Final, NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from service.errors import UnprocessableImage
from service.jpeg_markers import has_more_scans, read_jpeg_header, without_padding

_MOST_SCANS = 100  # a dozen is usual; libtiff's limit is the same
_MOST_PADDINGS = 8

# Telephones of Samsung write the first; the second and third are of a header's version; pixels suffer from none.
_HARMLESS = re.compile("Invalid SOS parameters for sequential|unknown JFIF revision|Unknown Adobe color transform")
# TurboJPEG knows the usual ratios of colour to grey only.
_UNKNOWN_SUBSAMPLING = "Could not determine subsampling"
# Cameras pad segments, or the end, with zeros. Other bytes there are what is left of a picture after a flipped bit.
_PADDING = re.compile(r"(\d+) extraneous bytes before marker 0x([0-9a-f]{2})")


class Reduction(NamedTuple):
    """The size to decode at, by simplejpeg's names: not below these, and not by more than the factor."""

    min_height: int
    min_width: int
    min_factor: int


FULL_SIZE: Final = Reduction(0, 0, 1)


def decode_jpeg(data: bytes, reduction: Reduction = FULL_SIZE) -> NDArray[np.uint8]:
    """RGB (H, W, 3) as stored; grey, CMYK and progressive files too.

    Args:
        data: a JPEG file.
        reduction: at which size; the rare file that only OpenCV reads comes in full all the same.

    Raises:
        UnprocessableImage: it is cut off, broken, or comes in more than 100 scans.
    """
    try:
        for _ in range(_MOST_PADDINGS + 1):
            if has_more_scans(data, _MOST_SCANS):
                raise UnprocessableImage(f"the JPEG image has more than {_MOST_SCANS} scans")
            try:
                return _strictly(data, reduction)
            except ValueError as error:
                padding = _PADDING.search(str(error))
                unpadded = without_padding(data, int(padding[1]), int(padding[2], 16)) if padding else None
                # Another picture may not come to light: of this one alone the header is known.
                if unpadded is None or read_jpeg_header(unpadded) != read_jpeg_header(data):
                    return _leniently(data, reduction, error)
                data = unpadded
        raise UnprocessableImage(f"the JPEG image is padded in more than {_MOST_PADDINGS} places")
    except (ValueError, struct.error) as error:
        raise UnprocessableImage(f"the JPEG image is cut off or broken ({error})") from error


def _strictly(data: bytes, reduction: Reduction) -> NDArray[np.uint8]:
    return np.asarray(simplejpeg.decode_jpeg(data, "RGB", **reduction._asdict()), np.uint8)


def _leniently(data: bytes, reduction: Reduction, warning: ValueError) -> NDArray[np.uint8]:
    """The picture in spite of a warning that does not mean damage; the warning itself where it does."""
    harmless = _HARMLESS.search(str(warning)) is not None
    if harmless:
        try:
            return np.asarray(simplejpeg.decode_jpeg(data, "RGB", strict=False, **reduction._asdict()), np.uint8)
        except ValueError:
            pass  # in the header it is an error for TurboJPEG even so
    if harmless or _UNKNOWN_SUBSAMPLING in str(warning):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is not None:
            return np.asarray(image, np.uint8)
    raise warning
