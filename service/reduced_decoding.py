"""At how much less than its size a picture may be decoded for what is to be cut out of it.

A JPEG holds its frequencies, so a decoder can leave the highest out and give a half, a quarter or an eighth of the size
for a third of the work. Where a crop shrinks the picture by more than that anyway, nothing is lost that it would show.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.contract.crop_transform import CropTransform
from service.image_header import ImageHeader

_FACTORS: Final = (8, 4, 2)
# So much finer than the crop at least; the rest is reduced by area averaging, as in training. Of 173 crops of a face
# no keypoint of face68 moved by more than 0.42 crop pixels (0.06 in the mean); with 2 in place of 3 one moved by 1.
_FINER_THAN_CROP: Final = 3.0


class DecodedPicture(NamedTuple):
    """A picture in memory.

    Attributes:
        image: RGB (H, W, 3), turned as displayed.
        reduced_by: pixel j of it covers the picture's pixels `reduced_by` * j and on, along x and y.
        width, height: of the picture as displayed, unreduced.
    """

    image: NDArray[np.uint8]
    reduced_by: int
    width: int
    height: int


def possible_reduction(header: ImageHeader, transforms: Sequence[CropTransform]) -> int:
    """The largest of 8, 4, 2 and 1 that costs no crop anything.

    Args:
        header: of the encoded picture.
        transforms: of all crops; 1 where one of them samples the picture as it is, or there are none.
    """
    if header.format != "JPEG" or not transforms or any(one.reduction != "area" for one in transforms):
        return 1
    shrinking = 1 / max(one.scale for one in transforms) + 1e-9
    for factor in _FACTORS:
        # Pixels are joined from the stored picture's left and top edges, which may be others once it is turned.
        exact = header.orientation == 1 or not (header.width % factor or header.height % factor)
        if exact and factor * _FINER_THAN_CROP <= shrinking:
            return factor
    return 1
