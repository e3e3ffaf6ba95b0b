"""Which boxes a model is evaluated with; every report names its protocol, for figures differ by it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from model_export.data.json_file import JsonRecord, Pixels, list_of, parse_record, read_json
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.errors import DataError
from model_export.metrics.coco_truth import image_ids
from model_export.metrics.recipe_truth import COCO_FORMATS
from model_export.recipe import AnnotatedData, Recipe
from service.contract.crop_transform import Box, ImageHW3

ReadImage = Callable[[], ImageHW3]
LABEL_BOXES = "boxes around the labels"
ANNOTATED_BOXES = "annotated boxes"
_PERSON = 1  # COCO's category; detectors answer others too


class BoxedPicture(NamedTuple):
    """One box to look into: in image pixels, with the detector's score (1 where there was no detector)."""

    image_id: str
    read_image: ReadImage
    box: Box
    score: float


class Boxes(NamedTuple):
    """The boxes of a split, and where they come from; `one_for_each_sample` in the samples' order, or not at all."""

    protocol: str
    pictures: Sequence[BoxedPicture]
    one_for_each_sample: bool


class _Detection(JsonRecord):
    image_id: int | str
    category_id: int
    bbox: Annotated[list[Pixels], Field(min_length=4, max_length=4)]
    score: float


def training_boxes(samples: Sequence[KeypointSample]) -> Boxes:
    """The boxes that training sees: the annotated one of a sample, else the tightest around its labels."""
    annotated = sum(sample.annotated_box is not None for sample in samples)
    mixed = f"{ANNOTATED_BOXES} ({annotated} of {len(samples)}), else {LABEL_BOXES}"
    protocol = {0: LABEL_BOXES, len(samples): ANNOTATED_BOXES}.get(annotated, mixed)
    return _of_samples(protocol, samples, [sample.box for sample in samples])


def label_boxes(samples: Sequence[KeypointSample]) -> Boxes:
    """The tightest boxes around the labels, whether or not there are annotated ones."""
    boxes = [Box.around(sample.points_in_image[sample.visible]) for sample in samples]
    return _of_samples(LABEL_BOXES, samples, boxes)


def annotated_boxes(samples: Sequence[KeypointSample]) -> Boxes:
    """The annotated boxes.

    Raises:
        DataError: a sample has none.
    """
    boxes = [sample.annotated_box for sample in samples]
    for sample, box in zip(samples, boxes, strict=True):
        if box is None:
            raise DataError(f"{sample.origin}: --boxes annotated needs a box in the annotations, this has none")
    return _of_samples(ANNOTATED_BOXES, samples, [box for box in boxes if box is not None])


def detected_boxes(path: Path, recipe: Recipe, samples: Sequence[KeypointSample]) -> Boxes:
    """The person boxes of a COCO detection results file; those in pictures outside the split are left aside.

    Raises:
        DataError: the file cannot be used, or none of its boxes lies in a picture of the split.
    """
    readers = _picture_readers(recipe, samples)
    pictures, elsewhere = [], 0
    for index, value in enumerate(list_of(read_json(path), None, path)):
        where = f"detections {path}, [{index}]"
        found = parse_record(_Detection, value, where)
        image_id = str(found.image_id)
        if found.category_id != _PERSON:
            continue
        if image_id not in readers:
            elsewhere += 1
            continue
        try:
            box = Box(*found.bbox)
        except ValueError as error:
            raise DataError(f"{where}, bbox: {error}") from error
        pictures.append(BoxedPicture(image_id, readers[image_id], box, found.score))
    if not pictures:
        raise DataError(
            f"detections {path}: expected boxes of persons (category_id 1) in pictures of the split, found none"
        )
    pictures.sort(key=lambda picture: picture.image_id)  # so that each picture is read once
    protocol = f"detected boxes of {path.name} ({len(pictures)} boxes in {len(readers)} pictures)"
    if elsewhere:
        protocol += f", {elsewhere} boxes in other pictures left aside"
    return Boxes(protocol, pictures, one_for_each_sample=False)


def _of_samples(protocol: str, samples: Sequence[KeypointSample], boxes: Sequence[Box]) -> Boxes:
    pictures = [
        BoxedPicture(image_id, sample.read_image, box, 1.0)
        for image_id, sample, box in zip(image_ids(samples), samples, boxes, strict=True)
    ]
    return Boxes(protocol, pictures, one_for_each_sample=True)


def _picture_readers(recipe: Recipe, samples: Sequence[KeypointSample]) -> dict[str, ReadImage]:
    """Every picture of the split, also those without a sample, where a detector may see persons all the same."""
    readers: dict[str, ReadImage] = {s.image_id: s.read_image for s in samples if s.image_id}
    data = recipe.data
    if isinstance(data, AnnotatedData) and data.format in COCO_FORMATS and data.validation is not None:
        path = data.folder() / data.validation
        folder = data.images_folder(data.validation, data.validation_images)
        for image in list_of(read_json(path), "images", path):
            readers.setdefault(str(image["id"]), ImageFile(folder / image["file_name"]))
    return readers
