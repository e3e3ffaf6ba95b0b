"""COCO's keypoint annotations (cocodataset.org, data format 2), and those of the many sets in the same layout.

`images` (id, file_name, width, height) and `annotations` (image_id, keypoints [x, y, v] * K, bbox, area, iscrowd).
v = 0: not labelled; 1: labelled, hidden; 2: labelled, seen; a keypoint with v > 0 is one to learn. Coordinates are
taken as they are, pixel i having its centre at i. `bbox` is cleaned as the classical codebases do (`coco_clean_box`)
where the picture's width and height are given, and taken as it is elsewhere. Other keys are ignored.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from model_export.data.annotated_box import coco_clean_box
from model_export.data.entries import Entry, LeftOut, parse_each
from model_export.data.json_file import JsonRecord, Pixels, list_of, parse_record, read_json
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.errors import DataError
from service.contract.crop_transform import Box

CROWD = LeftOut("crowd (iscrowd = 1)")
NO_KEYPOINTS = LeftOut("annotation without keypoints")
EMPTY_BOX = LeftOut("box without width or height")

# COCO-WholeBody keeps its 133 keypoints in five lists; this is the order in which everyone joins them.
BODY = ("keypoints",)
WHOLE_BODY = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")

ImageId = int | str
Side = Annotated[int, Field(gt=0, le=1_000_000)]


class _Image(JsonRecord):
    id: ImageId
    file_name: Annotated[str, Field(min_length=1)]
    width: Side | None = None
    height: Side | None = None


class _Annotation(JsonRecord):
    image_id: ImageId
    bbox: Annotated[list[Pixels], Field(max_length=4)] | None = None
    area: Annotated[float, Field(ge=0)] | None = None
    box_size: Annotated[float, Field(gt=0)] | None = None
    iscrowd: bool | int = 0


class _Points(JsonRecord):
    points: list[Pixels]


def read_coco(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every annotation of a COCO keypoint file, in order; a `Reader`.

    Crowds, annotations without keypoints and boxes without width or height are left out, as the public codebases do.

    Raises:
        DataError: the file is missing, is no JSON, or lacks `images` or `annotations`.
    """
    return _read(annotations, images, keypoint_count, BODY)


def read_coco_wholebody(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every annotation of a COCO-WholeBody file: body 17, foot 6, face 68, left and right hand 21 each; a `Reader`.

    Raises:
        DataError: as `read_coco`.
    """
    return _read(annotations, images, keypoint_count, WHOLE_BODY)


def _read(path: Path, images: Path, keypoint_count: int, parts: tuple[str, ...]) -> Iterator[Entry]:
    content = read_json(path)
    pictures: dict[ImageId, _Image] = {}
    for index, value in enumerate(list_of(content, "images", path)):
        image = parse_record(_Image, value, f"annotation file {path}, images[{index}]")
        pictures[image.id] = image
    objects = enumerate(list_of(content, "annotations", path))
    return parse_each(objects, partial(_parse, path, images, keypoint_count, parts, pictures))


def _parse(
    path: Path,
    images: Path,
    keypoint_count: int,
    parts: tuple[str, ...],
    pictures: dict[ImageId, _Image],
    indexed: tuple[int, Any],
) -> KeypointSample | LeftOut:
    index, value = indexed
    where = f"annotation file {path}, annotations[{index}]"
    found = parse_record(_Annotation, value, where)
    if found.iscrowd:
        return CROWD
    if not any(value.get(part) for part in parts):
        return NO_KEYPOINTS
    picture = pictures.get(found.image_id)
    if picture is None:
        raise DataError(f"{where}: image_id {found.image_id!r} stands in no entry of images")
    points: list[float] = []
    for part in parts:
        points += parse_record(_Points, {"points": value.get(part)}, f"{where}, {part}").points
    if len(points) != 3 * keypoint_count:
        raise DataError(f"{where}: expected {keypoint_count} keypoints of x, y, v, found {len(points)} numbers")
    points_K3 = np.array(points, dtype=np.float64).reshape(keypoint_count, 3)
    box = _box(found.bbox, picture, where) if found.bbox else None
    if found.bbox and box is None:
        return EMPTY_BOX
    return KeypointSample(
        read_image=ImageFile(images / picture.file_name),
        points_in_image=points_K3[:, :2],
        visible=points_K3[:, 2] > 0,
        origin=where,
        annotated_box=box,
        area=found.area,
        box_size=found.box_size,
        image_id=str(found.image_id),
    )


def _box(bbox: list[float], picture: _Image, where: str) -> Box | None:
    if len(bbox) != 4:
        raise DataError(f"{where}, bbox: expected x, y, width, height, found {len(bbox)} numbers")
    x, y, width, height = bbox
    if min(width, height) <= 0:
        return None
    if picture.width is None or picture.height is None:
        return Box(x, y, width, height)
    return coco_clean_box(x, y, width, height, picture.width, picture.height)
