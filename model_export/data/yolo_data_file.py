"""The data file of a YOLO data set, `data.yaml`: where pictures and labels of each part lie.

    path: persons            # below the folder of the pictures; default: that folder
    train: images/train      # one folder below path, or a list of them
    val: images/val
    kpt_shape: [17, 3]       # K keypoints of x, y (2) or of x, y, visibility (3)

The labels of `.../images/...` lie in `.../labels/...`. Other keys are ignored.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import yaml
from pydantic import Field

from model_export.data.file_part import split_part
from model_export.data.json_file import JsonRecord, parse_record
from model_export.errors import DataError


class Part(NamedTuple):
    """The folders of one part: text files and the pictures of the same names."""

    labels: Path
    images: Path


class _DataFile(JsonRecord):
    path: str = "."
    train: str | list[str] | None = None
    val: str | list[str] | None = None
    test: str | list[str] | None = None
    kpt_shape: Annotated[list[int], Field(min_length=2, max_length=2)]


def read_data_file(annotations: Path, images: Path, keypoint_count: int) -> list[Part]:
    """The folders of the part that `FILE#PART` names; without it, of `train`.

    Raises:
        DataError: the file cannot be read, is no YAML, has another K, or lacks that part.
    """
    path, name = split_part(annotations)
    name = name or "train"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"annotation file {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise DataError(f"annotation file {path} is not a YAML file in UTF-8: {problem}") from error
    where = f"annotation file {path}"
    data = parse_record(_DataFile, values, where)
    if data.kpt_shape[0] != keypoint_count:
        raise DataError(f"{where}: kpt_shape says {data.kpt_shape[0]} keypoints, expected {keypoint_count}")
    folders = {"train": data.train, "val": data.val, "test": data.test}.get(name)
    if not folders:
        raise DataError(f"{where}: expected a part {name!r} among train, val and test, found none")
    return [
        _part(images / data.path / folder, where) for folder in ([folders] if isinstance(folders, str) else folders)
    ]


def _part(images: Path, where: str) -> Part:
    names = list(images.parts)
    if "images" not in names or "\0" in str(images):
        raise DataError(f"{where}: expected a folder of pictures below one called 'images', found {str(images)!r}")
    names[len(names) - 1 - names[::-1].index("images")] = "labels"
    return Part(Path(*names), images)
