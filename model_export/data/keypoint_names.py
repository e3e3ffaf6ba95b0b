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


def check_names(path: Path, in_file: Sequence[str], in_recipe: Sequence[str]) -> None:
    """Refuse a recipe that names other keypoints than the file, or in another order.

    Raises:
        DataError: with the file's names as they are to stand in the recipe.
    """
    if tuple(in_file) != tuple(in_recipe):
        raise DataError(
            f"annotation file {path}: expected keypoints.names as in the file, {json.dumps(list(in_file))}, "
            f"found {json.dumps(list(in_recipe))}"
        )
