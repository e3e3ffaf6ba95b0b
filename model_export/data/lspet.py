"""Leeds Sports Pose Extended: `joints.mat` with an array of 14 x 3 x N (x, y, visible), pictures `im00001.jpg` ...

Column i - 1 of the array belongs to picture number i. `annotations` is `joints.mat` itself, or a split: a text file
beside it with a picture's name on each line. Where the third row is 0 the coordinates mean nothing. Coordinates are
taken as they are, from zero: fractions of scaled clicks of which the least that are visible lie below one.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export.data.entries import Entry, LeftOut, parse_each
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.data.mat_file import read_mat
from model_export.data.text_lines import read_text_lines
from model_export.errors import DataError

JOINTS_FILE = "joints.mat"
_NUMBER = re.compile(r"im(\d{1,9})\.\w+")
_EMPTY_COLUMN = LeftOut("a column of zeros: no such picture")


def read_lspet(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """The pictures of the split in its order, or all columns; a `Reader`. Columns of zeros are left out.

    Raises:
        DataError: one of the two files cannot be read, or the array has another shape.
    """
    whole = annotations.suffix == ".mat"
    path = annotations if whole else annotations.parent / JOINTS_FILE
    split = [] if whole else [name for _, name in read_text_lines(annotations)]
    joints_K3N = read_mat(path, "joints")
    if joints_K3N.ndim == 2:  # MATLAB drops the last axis of a single picture
        joints_K3N = joints_K3N[..., np.newaxis]
    if joints_K3N.shape[:2] != (keypoint_count, 3) or not np.issubdtype(joints_K3N.dtype, np.number):
        found = " x ".join(map(str, joints_K3N.shape))
        raise DataError(
            f"annotation file {path}: expected joints of {keypoint_count} x 3 x N numbers, "
            f"found {found} of {joints_K3N.dtype}"
        )
    names = split or [f"im{number:05d}.jpg" for number in range(1, joints_K3N.shape[2] + 1)]
    return parse_each(names, partial(_parse_column, annotations, images, joints_K3N))


def _parse_column(annotations: Path, images: Path, joints_K3N: NDArray[Any], name: str) -> KeypointSample | LeftOut:
    found = _NUMBER.fullmatch(Path(name).name)
    count = joints_K3N.shape[2]
    if found is None or not 1 <= int(found[1]) <= count:
        raise DataError(
            f"annotation file {annotations}: expected a picture im00001.jpg to im{count:05d}.jpg, found {name[:60]!r}"
        )
    joints_K3 = joints_K3N[:, :, int(found[1]) - 1].astype(float)
    if not joints_K3.any():
        return _EMPTY_COLUMN
    visible = joints_K3[:, 2] == 1
    if not (visible | (joints_K3[:, 2] == 0)).all():
        raise DataError(
            f"annotation file {annotations}, {name}: expected 0 or 1 in row 3 (visible), found "
            f"{', '.join(f'{value:g}' for value in joints_K3[:, 2])}"
        )
    return KeypointSample(ImageFile(images / name), joints_K3[:, :2], visible, f"{annotations}, {name}", image_id=name)
