"""The original annotation file of MPII Human Pose, `mpii_human_pose_v1_u12_1.mat` with the struct `RELEASE`.

`annolist(i).image.name`, `annolist(i).annorect(r)`: head rectangle `x1 ... y2`, `scale`, `objpos.x, .y` and
`annopoints.point(p)`: `id`, `x`, `y`. Only the training pictures (`img_train`) have points.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from model_export.data.entries import Entry, LeftOut, parse_each
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.mat_file import MatValue, read_mat_structs
from model_export.data.mpii_person import MpiiPerson, mpii_sample
from model_export.errors import DataError

NO_POINTS = LeftOut("rectangle without annopoints (test set)")
NO_PLACE = LeftOut("rectangle without scale or objpos")


class _Rectangle(NamedTuple):
    where: str
    picture: dict[str, MatValue]
    value: dict[str, MatValue]


def read_mpii_release(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every rectangle of every picture, in order; a `Reader`.

    Raises:
        DataError: the file is missing, is no MATLAB file, or has no `RELEASE.annolist`.
    """
    pictures = _structs(read_mat_structs(annotations, "RELEASE")[0], "annolist")
    if not pictures:
        raise DataError(f"annotation file {annotations}: expected RELEASE.annolist, found none")
    rectangles = (
        _Rectangle(f"annotation file {annotations}, annolist({i}).annorect({r})", picture, value)
        for i, picture in enumerate(pictures, 1)
        for r, value in enumerate(_structs(picture, "annorect"), 1)
    )
    return parse_each(rectangles, partial(_parse, images, keypoint_count))


def _parse(images: Path, keypoint_count: int, rectangle: _Rectangle) -> KeypointSample | LeftOut:
    where, value = rectangle.where, rectangle.value
    listed = [point for points in _structs(value, "annopoints") for point in _structs(points, "point")]
    if not listed:
        return NO_POINTS
    place = _structs(value, "objpos")
    if not isinstance(value.get("scale"), float) or not place:
        return NO_PLACE
    image = [struct.get("name") for struct in _structs(rectangle.picture, "image")]
    if len(image) != 1 or not isinstance(image[0], str) or not image[0]:
        raise DataError(f"{where}: expected a picture's name in image.name, found {str(image)[:60]}")
    points = {}
    for point in listed:
        keypoint = _number(point, "id", where)
        if keypoint != int(keypoint):
            raise DataError(f"{where}: expected a whole number as id of a point, found {keypoint:g}")
        points[int(keypoint)] = (_number(point, "x", where), _number(point, "y", where))
    corners = ("x1", "y1", "x2", "y2")
    head = [_number(value, name, where) for name in corners] if all(name in value for name in corners) else None
    centre = (_number(place[0], "x", where), _number(place[0], "y", where))
    person = MpiiPerson(image[0], centre, _number(value, "scale", where), points, head)
    return mpii_sample(person, images, keypoint_count, where)


def _structs(struct: dict[str, MatValue], field: str) -> list[dict[str, MatValue]]:
    """A field that is a struct array; none where it is missing or empty."""
    found = struct.get(field)
    return found if isinstance(found, list) and found and isinstance(found[0], dict) else []


def _number(struct: dict[str, MatValue], name: str, where: str) -> float:
    value = struct.get(name)
    if isinstance(value, float) and abs(value) <= 1e6:
        return value
    raise DataError(f"{where}: expected a number as {name}, found {str(value)[:60]!r}")
