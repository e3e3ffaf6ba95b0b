"""The project's own annotation format, a plain CSV file.

The first row names the columns: `image`, then `x0, y0, x1, y1, ...` for the K keypoints in order; other columns are
ignored. `image` is a path relative to the file's folder. Coordinates are image pixels, pixel i has its centre at i;
both coordinates of a keypoint left empty mean that it is not visible.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.errors import DataError


def read_keypoint_csv(path: Path, keypoint_count: int) -> list[KeypointSample]:
    """Every row of the file that has a visible keypoint, in order. Pictures are not opened here.

    Raises:
        DataError: the file is missing, another number of keypoints was expected, or a coordinate is not a number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            header = rows.fieldnames or []
            _check_header(path, header, keypoint_count)
            samples = [_parse_row(path, rows.line_num, row, keypoint_count) for row in rows]
    except OSError as error:
        raise DataError(f"annotation file {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"annotation file {path} is not a CSV file in UTF-8: {error}") from error
    if not samples:
        raise DataError(f"annotation file {path} holds no row")
    return [sample for sample in samples if sample.visible.any()]


def _check_header(path: Path, header: Sequence[str], keypoint_count: int) -> None:
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


def _parse_row(path: Path, line: int, row: dict[str, str], keypoint_count: int) -> KeypointSample:
    texts = [[row[f"{axis}{k}"] or "" for axis in "xy"] for k in range(keypoint_count)]
    visible = np.array([bool(x.strip() and y.strip()) for x, y in texts])
    try:
        points = np.array(
            [[float(x), float(y)] if seen else [0.0, 0.0] for (x, y), seen in zip(texts, visible, strict=True)]
        )
    except ValueError as error:
        raise DataError(f"annotation file {path}, line {line}: a coordinate is not a number ({error})") from error
    if not np.isfinite(points).all():
        raise DataError(f"annotation file {path}, line {line}: a coordinate is not finite")
    return KeypointSample(ImageFile(path.parent / row["image"]), points, visible, f"{path}, line {line}")
