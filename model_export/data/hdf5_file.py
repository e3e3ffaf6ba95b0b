"""HDF5 files that hold labels and pictures together: labels are read at once, a picture when it is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray

from model_export.errors import DataError
from service.contract.crop_transform import ImageHW3


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """The opened file; whatever a damaged one raises while it is read becomes a DataError.

    Raises:
        DataError: the file is missing, is not HDF5, or breaks off.
    """
    if not path.is_file():
        raise DataError(f"annotation file {path} cannot be read: there is no such file")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except DataError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything inside h5py
        raise DataError(f"annotation file {path} cannot be read as HDF5: {error}") from error


def dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """The data set called `name`, not yet read.

    Raises:
        DataError: there is none of that name.
    """
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise DataError(f"annotation file {file.filename}: expected a data set {name!r}, found {', '.join(file)[:80]}")
    return found


def as_rgb(pixels: NDArray[Any], where: str) -> ImageHW3:
    """RGB uint8 (H, W, 3) from grey (H, W), grey (H, W, 1) or RGB (H, W, 3).

    Raises:
        DataError: it is none of these.
    """
    grey = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.dtype != np.uint8 or pixels.size == 0 or (grey.ndim, grey.shape[2:]) not in ((2, ()), (3, (3,))):
        raise DataError(f"{where}: expected a picture of bytes, grey or RGB, found {pixels.dtype} {pixels.shape}")
    if grey.ndim == 2:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(grey), cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    return np.ascontiguousarray(pixels)
