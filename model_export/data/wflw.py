"""WFLW: one line a face, `list_98pt_rect_attr_train_test/list_98pt_rect_attr_{train,test}.txt` of the distribution.

196 numbers x0 y0 ... x97 y97, four of the detected face x_min y_min x_max y_max, six attributes (pose, expression,
illumination, make-up, occlusion, blur), and the picture's name relative to `WFLW_images`. The lists of the test
subsets (`list_98pt_test/*.txt`) leave box and attributes out and are read alike. Coordinates are taken as they are: the
data set does not say where they count from, and the public loaders take them for zero-based.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from model_export.data.entries import Entry, parse_each
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.data.text_lines import parse_numbers, read_text_lines
from model_export.errors import DataError
from service.contract.crop_transform import Box

_BOX_AND_ATTRIBUTES = 4 + 6


def read_wflw(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every line of the list, in order; a `Reader`. All keypoints are visible: WFLW labels hidden ones too.

    Raises:
        DataError: the list cannot be read.
    """
    lines = read_text_lines(annotations)
    return parse_each(lines, partial(_parse_line, annotations, images, keypoint_count))


def _parse_line(annotations: Path, images: Path, keypoint_count: int, numbered: tuple[int, str]) -> KeypointSample:
    number, line = numbered
    where = f"annotation file {annotations}, line {number}"
    coordinates = 2 * keypoint_count
    values = line.split()
    if len(values) not in (coordinates + 1, coordinates + _BOX_AND_ATTRIBUTES + 1):
        raise DataError(
            f"{where}: expected {coordinates} coordinates, 4 box and 6 attribute values and a picture's name "
            f"(or the coordinates and the name alone), found {len(values)} values"
        )
    points = np.array(parse_numbers(values[:coordinates], where)).reshape(-1, 2)
    box = None
    if len(values) > coordinates + 1:
        box = _box(parse_numbers(values[coordinates : coordinates + 4], where), where)
    return KeypointSample(
        ImageFile(images / values[-1]),
        points,
        np.ones(keypoint_count, dtype=bool),
        f"{annotations}, line {number}",
        annotated_box=box,
        image_id=values[-1],
    )


def _box(corners: list[float], where: str) -> Box:
    left, top, right, bottom = corners
    try:
        return Box(left, top, right - left, bottom - top)
    except ValueError as error:
        raise DataError(f"{where}: the face's box {left:g} {top:g} {right:g} {bottom:g} is none: {error}") from error
