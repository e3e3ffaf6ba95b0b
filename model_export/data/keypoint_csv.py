"""The project's own annotation format, a plain CSV file.

The first row names the columns: `image`, then `x0, y0, x1, y1, ...` for the K keypoints in order, and optionally
`mm_per_pixel`, the picture's scale; other columns are ignored. `image` is a path relative to the folder of the
pictures. Coordinates are image pixels, pixel i has its centre at i; both coordinates of a keypoint left empty mean that
it is not visible.
"""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from model_export.data.entries import Entry, parse_each
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.errors import DataError

SCALE_COLUMN = "mm_per_pixel"


def read_keypoint_csv(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every row of the file, in order; a `Reader`.

    Raises:
        DataError: the file is missing, is no CSV, or another number of keypoints was expected.
    """
    try:
        with annotations.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise DataError(f"annotation file {annotations} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"annotation file {annotations} is not a CSV file in UTF-8: {error}") from error
    _check_header(annotations, header, keypoint_count)
    if not rows:
        raise DataError(f"annotation file {annotations} holds no row")
    return parse_each(rows, lambda row: _parse_row(annotations, images, row[0], header, row[1], keypoint_count))


def _check_header(path: Path, header: list[str], keypoint_count: int) -> None:
    if "image" not in header:
        raise DataError(
            f"annotation file {path}: expected a column 'image', found {', '.join(header[:4]) or 'nothing'}"
        )
    found = sum(1 for name in header if name[:1] == "x" and name[1:].isdigit())
    if found != keypoint_count:
        raise DataError(
            f"annotation file {path} has {found} keypoints (columns x0 ... x{found - 1}), "
            f"the recipe's keypoints.names has {keypoint_count}"
        )
    for name in (f"{axis}{k}" for k in range(keypoint_count) for axis in "xy"):
        if name not in header:
            raise DataError(f"annotation file {path}: column {name} is missing")


def _parse_row(
    path: Path, images: Path, line: int, header: list[str], values: list[str], keypoint_count: int
) -> KeypointSample:
    where = f"annotation file {path}, line {line}"
    if len(values) != len(header):
        raise DataError(f"{where}: expected {len(header)} values, found {len(values)}")
    row = dict(zip(header, values, strict=True))
    points, visible = np.zeros((keypoint_count, 2)), np.zeros(keypoint_count, dtype=bool)
    for k in range(keypoint_count):
        texts = [row[f"{axis}{k}"].strip() for axis in "xy"]
        if not any(texts):
            continue
        if not all(texts):
            raise DataError(f"{where}: keypoint {k} has only one coordinate")
        try:
            points[k], visible[k] = [float(text) for text in texts], True
        except ValueError as error:
            raise DataError(f"{where}: a coordinate is not a number ({error})") from error
    if not np.isfinite(points).all():
        raise DataError(f"{where}: a coordinate is not finite")
    return KeypointSample(
        ImageFile(images / row["image"]),
        points,
        visible,
        f"{path}, line {line}",
        mm_per_pixel=_scale(row[SCALE_COLUMN], where) if SCALE_COLUMN in row else None,
        image_id=row["image"],
    )


def _scale(text: str, where: str) -> float:
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not 0 < scale < math.inf:
        raise DataError(f"{where}: expected millimetres above zero in column {SCALE_COLUMN}, found {text!r}")
    return scale
