"""The names that some annotation files give their keypoints, against those of the recipe.

Coordinates of a file are read in its order, and the recipe names them in its own: another order would train and serve
keypoints under each other's names, and no error would show it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from model_export.data.deeplabcut import read_bodyparts
from model_export.errors import DataError

NAMES_IN_FILE: Mapping[str, Callable[[Path], tuple[str, ...]]] = {"deeplabcut": read_bodyparts}


def check_names(data_format: str, annotations: Path, names: Sequence[str]) -> None:
    """Refuse names of a recipe that are others than those of the file, or in another order.

    Files of other formats than those of NAMES_IN_FILE name nothing and pass.

    Raises:
        DataError: with the file's names as they are to stand in the recipe; or the file cannot be read.
    """
    if data_format not in NAMES_IN_FILE:
        return
    in_file = NAMES_IN_FILE[data_format](annotations)
    if in_file != tuple(names):
        raise DataError(
            f"annotation file {annotations}: expected keypoints.names as in the file, {json.dumps(in_file)}, "
            f"found {json.dumps(list(names))}"
        )
