"""The original annotation file of MPII Human Pose, `mpii_human_pose_v1_u12_1.mat` with the struct `RELEASE`.

`annolist(i).image.name`, `annolist(i).annorect(r)`: head rectangle `x1 ... y2`, `scale`, `objpos.x, .y` and
`annopoints.point(p)`: `id`, `x`, `y`. Only the training pictures (`img_train`) have points.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model_export.data.entries import Entry, LeftOut, parse_each
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.mat_file import read_mat
from model_export.data.mpii_person import MpiiPerson, mpii_sample
from model_export.errors import DataError

NO_POINTS = LeftOut("rectangle without annopoints (test set)")
NO_PLACE = LeftOut("rectangle without scale or objpos")


class _Rectangle(NamedTuple):
    where: str
    picture: Any
    value: Any


def read_mpii_release(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every rectangle of every picture, in order; a `Reader`.

    Raises:
        DataError: the file is missing, is no MATLAB file, or has no `RELEASE.annolist`.
    """
    release = read_mat(annotations, "RELEASE")
    pictures = _items(getattr(release.item(), "annolist", None) if release.ndim == 0 else None)
    if not pictures:
        raise DataError(f"annotation file {annotations}: expected RELEASE.annolist, found none")
    rectangles = (
        _Rectangle(f"annotation file {annotations}, annolist({i}).annorect({r})", picture, value)
        for i, picture in enumerate(pictures, 1)
        for r, value in enumerate(_items(getattr(picture, "annorect", None)), 1)
    )
    return parse_each(rectangles, partial(_parse, images, keypoint_count))


def _parse(images: Path, keypoint_count: int, rectangle: _Rectangle) -> KeypointSample | LeftOut:
    where, value = rectangle.where, rectangle.value
    listed = _items(getattr(getattr(value, "annopoints", None), "point", None))
    if not listed:
        return NO_POINTS
    place = getattr(value, "objpos", None)
    if not _items(getattr(value, "scale", None)) or not _items(place):
        return NO_PLACE
    image = getattr(getattr(rectangle.picture, "image", None), "name", None)
    if not isinstance(image, str) or not image:
        raise DataError(f"{where}: expected a picture's name in image.name, found {image!r}")
    points = {}
    for point in listed:
        keypoint = _number(point, "id", where)
        if keypoint != int(keypoint):
            raise DataError(f"{where}: expected a whole number as id of a point, found {keypoint:g}")
        points[int(keypoint)] = (_number(point, "x", where), _number(point, "y", where))
    corners = [getattr(value, name, None) for name in ("x1", "y1", "x2", "y2")]
    head = [_number(value, name, where) for name in ("x1", "y1", "x2", "y2")] if all(map(_items, corners)) else None
    centre = (_number(place, "x", where), _number(place, "y", where))
    person = MpiiPerson(image, centre, _number(value, "scale", where), points, head)
    return mpii_sample(person, images, keypoint_count, where)


def _items(value: Any) -> list[Any]:
    """A struct array as a list: SciPy squeezes one of length one to its element, and gives an empty one as array."""
    if value is None:
        return []
    if isinstance(value, np.ndarray):
        return list(value.ravel())
    return [value]


def _number(struct: Any, name: str, where: str) -> float:
    value = getattr(struct, name, None)
    # A visibility or a coordinate is a scalar of any numeric type; text and structs are not.
    if isinstance(value, (int, float, np.integer, np.floating)) and abs(float(value)) <= 1e6:
        return float(value)
    raise DataError(f"{where}: expected a number as {name}, found {str(value)[:60]!r}")
