"""The apic.ai bee pose dataset: a JSON list of pictures with a bee each.

A picture: `{"path": "...", "set": "train", "keypoints": {"0": [x, y], ...}}`. A hidden keypoint stands
not in it. `FILE#train` or `FILE#test` reads the pictures of one set alone.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from model_export.data.entries import Entry, LeftOut, parse_each
from model_export.data.file_part import split_part
from model_export.data.json_file import JsonRecord, Pixels, list_of, parse_record, read_json
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.errors import DataError

NO_BEE = LeftOut("picture without a bee")
OTHER_SET = LeftOut("picture of another set")


class _Picture(JsonRecord):
    path: Annotated[str, Field(min_length=1)]
    set: str
    keypoints: dict[str, Annotated[list[Pixels], Field(min_length=2, max_length=2)]]


def read_bee(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every picture of the file, in order; a `Reader`.

    Raises:
        DataError: the file is missing, is no JSON or no list.
    """
    path, part = split_part(annotations)
    pictures = enumerate(list_of(read_json(path), None, path))
    return parse_each(pictures, partial(_parse, path, part, images, keypoint_count))


def _parse(
    path: Path, part: str | None, images: Path, keypoint_count: int, indexed: tuple[int, Any]
) -> KeypointSample | LeftOut:
    index, value = indexed
    where = f"annotation file {path}, [{index}]"
    picture = parse_record(_Picture, value, where)
    if part is not None and picture.set != part:
        return OTHER_SET
    if not picture.keypoints:
        return NO_BEE
    points, visible = np.zeros((keypoint_count, 2)), np.zeros(keypoint_count, dtype=bool)
    for name, point in picture.keypoints.items():
        if not (name.isascii() and name.isdigit() and int(name) < keypoint_count):
            raise DataError(f"{where}: expected keypoints 0 to {keypoint_count - 1}, found {name!r}")
        points[int(name)], visible[int(name)] = point, True
    return KeypointSample(ImageFile(images / picture.path), points, visible, where, image_id=picture.path)
