"""What COCO's evaluator compares with: samples, or a COCO annotation file with all its persons and pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from model_export.data.coco import BODY, WHOLE_BODY
from model_export.data.json_file import JsonRecord, Pixels, list_of, parse_record, read_json
from model_export.data.keypoint_sample import KeypointSample
from model_export.errors import DataError
from model_export.metrics.predictions import FloatArray, LabelledPerson, OksTruth
from service.contract.coco_results import WHOLEBODY_COUNT
from service.contract.crop_transform import Box

_SMALLEST_SIDE = 1e-6  # the evaluator takes a box only as a region around which predictions are ignored


class _Image(JsonRecord):
    id: int | str


class _Person(JsonRecord):
    image_id: int | str
    bbox: Annotated[list[Pixels], Field(min_length=4, max_length=4)]
    area: float | None = None
    iscrowd: bool | int = 0
    points: list[Pixels]


def truth_of_samples(samples: Sequence[KeypointSample], sigmas_K: FloatArray) -> OksTruth:
    """The samples as labelled persons; a sample without an image_id is alone in its picture."""
    ids = image_ids(samples)
    persons = [
        LabelledPerson(image_id, s.points_in_image, s.visible, s.box, s.area, crowd=False, origin=s.origin)
        for image_id, s in zip(ids, samples, strict=True)
    ]
    return OksTruth(persons, frozenset(ids), sigmas_K, "truth: the samples alone")


def image_ids(samples: Sequence[KeypointSample]) -> list[str]:
    """The image_id of each sample, made up where it has none."""
    return [sample.image_id or f"sample {number}" for number, sample in enumerate(samples)]


def truth_of_file(path: Path, sigmas_K: FloatArray) -> OksTruth:
    """Every person and picture of a COCO or COCO-WholeBody file, crowds and persons without keypoints too.

    Raises:
        DataError: the file cannot be read, or holds an annotation that lacks what the evaluator needs.
    """
    content = read_json(path)
    ids = frozenset(
        str(parse_record(_Image, image, f"annotation file {path}, images[{index}]").id)
        for index, image in enumerate(list_of(content, "images", path))
    )
    persons = [
        _person(annotation, f"annotation file {path}, annotations[{index}]", len(sigmas_K))
        for index, annotation in enumerate(list_of(content, "annotations", path))
    ]
    for person in persons:
        if person.image_id not in ids:
            raise DataError(f"{person.origin}: image_id {person.image_id!r} stands in no entry of images")
    return OksTruth(persons, ids, sigmas_K, "truth: all persons and pictures of the annotation file")


def _person(annotation: Any, where: str, keypoint_count: int) -> LabelledPerson:
    if not isinstance(annotation, dict):
        raise DataError(f"{where}: expected an object, found {type(annotation).__name__}")
    keys = WHOLE_BODY if keypoint_count == WHOLEBODY_COUNT and "foot_kpts" in annotation else BODY
    lists = [annotation.get(key) or [] for key in keys]
    if not all(isinstance(values, list) for values in lists):
        raise DataError(f"{where}: expected lists of numbers under {', '.join(keys)}")
    found = parse_record(_Person, annotation | {"points": [value for values in lists for value in values]}, where)
    if len(found.points) not in (0, 3 * keypoint_count):
        raise DataError(f"{where}: expected {keypoint_count} keypoints of x, y, v, found {len(found.points)} numbers")
    rows_K3 = np.array(found.points or [0.0] * 3 * keypoint_count).reshape(keypoint_count, 3)
    x, y, width, height = found.bbox
    return LabelledPerson(
        image_id=str(found.image_id),
        points_K2=rows_K3[:, :2],
        visible_K=rows_K3[:, 2] > 0,
        box=Box(x, y, max(width, _SMALLEST_SIDE), max(height, _SMALLEST_SIDE)),
        area=found.area,
        crowd=bool(found.iscrowd),
        origin=where,
    )
