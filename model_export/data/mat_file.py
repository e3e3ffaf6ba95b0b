"""MATLAB files up to version 7.2 (version 7.3 is HDF5), read by SciPy."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export.errors import DataError


def read_mat(path: Path, variable: str) -> NDArray[Any]:
    """One variable of a file, squeezed; a struct is an object with its fields as attributes.

    Raises:
        DataError: the file cannot be read, is no such file, or lacks the variable.
    """
    from scipy.io import loadmat  # noqa: PLC0415  (heavy, and only two formats need it)

    try:
        values = loadmat(path, struct_as_record=False, squeeze_me=True, variable_names=[variable])
    except OSError as error:
        raise DataError(f"annotation file {path} cannot be read: {error.strerror or error}") from error
    # SciPy promises no exception type for a damaged file: index, type, zlib and memory errors have all been seen.
    except Exception as error:
        raise DataError(f"annotation file {path} is not a MATLAB file up to version 7.2: {error!r}") from error
    if variable not in values:
        raise DataError(f"annotation file {path}: expected a variable {variable!r}, found none")
    return np.asarray(values[variable])
