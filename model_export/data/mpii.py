"""MPII Human Pose as JSON, the list that the public codebases share (`train.json`, `valid.json`), or as MATLAB file.

A person of the JSON: `image`, `center`, `scale`, `joints` [x, y] * K, `joints_vis`. A keypoint is visible here where
it is labelled at all, hidden ones included. The JSON holds no head rectangles: they are taken from `gt_NAME.mat` beside
`NAME.json` (`headboxes_src`, from the evaluation of the public codebases), where that is there.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from model_export.data.entries import Entry, LeftOut, parse_each
from model_export.data.json_file import JsonRecord, Pixels, list_of, parse_record, read_json
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.mat_file import read_mat
from model_export.data.mpii_person import MpiiPerson, mpii_sample
from model_export.data.mpii_release import read_mpii_release
from model_export.errors import DataError

NO_JOINTS = LeftOut("person without joints (test set)")

_Point = Annotated[list[Pixels], Field(min_length=2, max_length=2)]


class _Person(JsonRecord):
    image: Annotated[str, Field(min_length=1)]
    center: _Point
    scale: Annotated[float, Field(gt=0, le=1e4)]
    joints: list[_Point] | None = None
    joints_vis: list[Annotated[float, Field(ge=0, le=1)]] | None = None


def read_mpii(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every person of the file, in order; a `Reader`. A `.mat` file is read as the original `RELEASE`.

    Raises:
        DataError: the file is missing, is no JSON or MATLAB file, or is not made as it should be.
    """
    if annotations.suffix == ".mat":
        return read_mpii_release(annotations, images, keypoint_count)
    people = list_of(read_json(annotations), None, annotations)
    heads = _head_rectangles(annotations.with_name(f"gt_{annotations.stem}.mat"), len(people))
    return parse_each(enumerate(people), partial(_parse, annotations, images, keypoint_count, heads))


def _parse(
    path: Path, images: Path, keypoint_count: int, heads: NDArray[np.float64] | None, indexed: tuple[int, Any]
) -> KeypointSample | LeftOut:
    index, value = indexed
    where = f"annotation file {path}, [{index}]"
    person = parse_record(_Person, value, where)
    if person.joints is None or person.joints_vis is None:
        return NO_JOINTS
    if not len(person.joints) == len(person.joints_vis) == keypoint_count:
        raise DataError(
            f"{where}: expected {keypoint_count} joints, found {len(person.joints)} joints "
            f"and {len(person.joints_vis)} joints_vis"
        )
    points = {k: (person.joints[k][0], person.joints[k][1]) for k, seen in enumerate(person.joints_vis) if seen > 0}
    head = None if heads is None else heads[index].tolist()
    centre = (person.center[0], person.center[1])
    return mpii_sample(MpiiPerson(person.image, centre, person.scale, points, head), images, keypoint_count, where)


def _head_rectangles(path: Path, people: int) -> NDArray[np.float64] | None:
    """(people, 4): x1, y1, x2, y2; None where there is no such file."""
    if not path.exists():
        return None
    corners = read_mat(path, "headboxes_src")  # (2 corners, x and y, people)
    corners = corners[..., None] if corners.ndim == 2 else corners  # one person, squeezed
    if corners.shape != (2, 2, people) or corners.dtype.kind not in "iuf" or not np.isfinite(corners).all():
        raise DataError(
            f"annotation file {path}: expected headboxes_src of finite numbers, 2 x 2 x {people}, "
            f"found {corners.dtype} of shape {corners.shape}"
        )
    return np.asarray(corners.transpose(2, 0, 1).reshape(people, 4), dtype=np.float64)
