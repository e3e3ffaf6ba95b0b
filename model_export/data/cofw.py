"""COFW: one MATLAB 7.3 file (HDF5) with pictures and labels, `COFW_train.mat` or `COFW_test.mat` (also `_color`).

`phisTr` has 87 numbers a face: 29 times x, 29 times y, 29 times occluded; `bboxesTr` is x, y, width, height; `IsTr` the
picture (`phisT`, `bboxesT`, `IsT` in the test file). HDF5 shows MATLAB's arrays with their axes reversed. Coordinates
count from one as in MATLAB, so one is taken off as in mmpose's converter (not in HRNet's facial loader).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from model_export.data.entries import Entry, parse_each
from model_export.data.hdf5_file import as_rgb, dataset, open_hdf5
from model_export.data.keypoint_sample import KeypointSample
from model_export.errors import DataError
from service.contract.crop_transform import Box, ImageHW3

_FIRST_PIXEL = 1.0


class _Face(NamedTuple):
    number: int
    numbers: NDArray[Any]
    box: NDArray[Any]


@dataclass(frozen=True, slots=True)
class EmbeddedPicture:
    """Reads picture `index` of a COFW file as RGB uint8 (H, W, 3)."""

    path: Path
    cells: str
    index: int

    def __call__(self) -> ImageHW3:
        """Read the picture.

        Raises:
            DataError: it cannot be read.
        """
        where = f"annotation file {self.path}, face {self.index}"
        with open_hdf5(self.path) as file:
            cell = file[dataset(file, self.cells)[0, self.index]]
            if not isinstance(cell, h5py.Dataset):
                raise DataError(f"{where}: {self.cells} points to no picture")
            pixels = np.asarray(cell[()])
        return as_rgb(pixels.transpose(), where)


def read_cofw(annotations: Path, _images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every face of the file, in order; a `Reader`. All keypoints are visible: COFW labels occluded ones too.

    The folder of pictures is not used: they are in the file.

    Raises:
        DataError: the file cannot be read, or its arrays do not fit together.
    """
    with open_hdf5(annotations) as file:
        split = "Tr" if "phisTr" in file else "T"
        cells = f"Is{split}"
        phis_PN = np.asarray(dataset(file, f"phis{split}")[()])
        boxes_4N = np.asarray(dataset(file, f"bboxes{split}")[()])
        cells_shape = dataset(file, cells).shape
    expected = ((3 * keypoint_count, phis_PN.shape[-1]), (4, phis_PN.shape[-1]), (1, phis_PN.shape[-1]))
    if (phis_PN.shape, boxes_4N.shape, cells_shape) != expected or phis_PN.shape[-1] == 0:
        raise DataError(
            f"annotation file {annotations}: expected phis{split}, bboxes{split}, {cells} of {3 * keypoint_count} x N, "
            f"4 x N, 1 x N, found {phis_PN.shape}, {boxes_4N.shape}, {cells_shape}"
        )
    faces = [_Face(index, phis_PN[:, index], boxes_4N[:, index]) for index in range(phis_PN.shape[1])]
    return parse_each(faces, partial(_parse_face, annotations, cells, keypoint_count))


def _parse_face(annotations: Path, cells: str, keypoint_count: int, face: _Face) -> KeypointSample:
    where = f"annotation file {annotations}, face {face.number}"
    try:
        points = face.numbers[: 2 * keypoint_count].astype(float).reshape(2, -1).T - _FIRST_PIXEL
        left, top, width, height = (float(value) for value in face.box)
        box = Box(left - _FIRST_PIXEL, top - _FIRST_PIXEL, width, height)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: expected numbers for points and box, found {error}") from error
    return KeypointSample(
        EmbeddedPicture(annotations, cells, face.number),
        points,
        np.ones(keypoint_count, dtype=bool),
        f"{annotations}, face {face.number}",
        annotated_box=box,
        image_id=str(face.number),
    )
