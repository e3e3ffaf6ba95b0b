"""DeepLabCut's labels, `CollectedData_SCORER.csv`: three header rows (scorer, bodyparts, coords), then a row a picture.

The first column is the picture's path, `labeled-data/VIDEO/img001.png`; newer versions write it in three columns. A
blank says that the keypoint is not visible. Coordinates are image pixels, pixel i has its centre at i.

`annotations` is one such file, or a folder of which every `CollectedData*.csv` below it is read (`labeled-data` of a
project). The pictures' paths are those of the project: relative to `images`, and where no picture lies there, the
picture's name is looked for beside the file.
"""

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.data.entries import Entry, parse_each
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.data.text_lines import read_text_lines
from model_export.errors import DataError

_HEADER_ROWS = ("scorer", "bodyparts", "coords")
_BLANKS = {"", "nan", "NaN"}


class _Layout(NamedTuple):
    bodyparts: tuple[str, ...]
    path_columns: int


def read_deeplabcut(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every row, in order; a `Reader`.

    Raises:
        DataError: a file cannot be read, is of another kind, or two files list other keypoints.
    """
    files = _files(annotations)
    first = read_bodyparts(files[0])
    for path in files:
        rows = _read_rows(path)
        layout = _read_header(path, rows[:4])
        if layout.bodyparts != first:
            raise DataError(f"annotation file {path} has other bodyparts than {files[0]}")
        if len(layout.bodyparts) != keypoint_count:
            raise DataError(
                f"annotation file {path} has {len(layout.bodyparts)} bodyparts "
                f"({', '.join(layout.bodyparts[:3])} ...), the recipe's keypoints.names has {keypoint_count}"
            )
        yield from parse_each(rows[3:], partial(_parse_row, path, images, layout))


def read_bodyparts(annotations: Path) -> tuple[str, ...]:
    """The names of the keypoints, in the order of the file, or of the first one of a folder.

    Raises:
        DataError: the file cannot be read, or is of another kind.
    """
    path = _files(annotations)[0]
    return _read_header(path, _read_rows(path)[:4]).bodyparts


def _files(annotations: Path) -> list[Path]:
    files = sorted(annotations.rglob("CollectedData*.csv")) if annotations.is_dir() else [annotations]
    if not files:
        raise DataError(
            f"annotation file {annotations}: expected a folder with CollectedData*.csv, found none below it"
        )
    return files


def _read_rows(path: Path) -> list[tuple[int, list[str]]]:
    lines = read_text_lines(path)
    try:
        rows = [(number, next(csv.reader([line]))) for number, line in lines]
    except csv.Error as error:
        raise DataError(f"annotation file {path} is not a CSV file: {error}") from error
    if len(rows) <= len(_HEADER_ROWS):
        raise DataError(
            f"annotation file {path}: expected {len(_HEADER_ROWS)} header rows and labels, found {len(rows)}"
        )
    return rows


def _read_header(path: Path, rows: list[tuple[int, list[str]]]) -> _Layout:
    names = [row[0].strip() for _, row in rows]
    if "individuals" in names:
        raise DataError(
            f"annotation file {path} is of a multi-animal project (it has a header row 'individuals'): "
            f"expected the header rows of a single-animal one, {', '.join(_HEADER_ROWS)}"
        )
    if tuple(names[:3]) != _HEADER_ROWS:
        raise DataError(
            f"annotation file {path}: expected DeepLabCut's header rows {', '.join(_HEADER_ROWS)}, "
            f"found {', '.join(repr(name[:20]) for name in names[:3])}"
        )
    bodyparts, coordinates = rows[1][1], rows[2][1]
    # The path's columns come first; only the first of them has a name in the header.
    path_columns = 1 + next((i for i, name in enumerate(coordinates[1:]) if name.strip()), len(coordinates) - 1)
    if "likelihood" in coordinates:
        raise DataError(f"annotation file {path} holds DeepLabCut's predictions (a likelihood): expected its labels")
    count, odd = divmod(len(coordinates) - path_columns, 2)
    named = tuple(name.strip() for name in bodyparts[path_columns::2])
    if (
        odd
        or count == 0
        or coordinates[path_columns:] != ["x", "y"] * count
        or [name.strip() for name in bodyparts[path_columns:]] != [name for name in named for _ in "xy"]
        or len(set(named)) != count
    ):
        raise DataError(
            f"annotation file {path}: expected columns x and y for each of different bodyparts, found others"
        )
    return _Layout(named, path_columns)


def _parse_row(path: Path, images: Path, layout: _Layout, numbered: tuple[int, list[str]]) -> KeypointSample:
    number, row = numbered
    where = f"annotation file {path}, line {number}"
    count = len(layout.bodyparts)
    if len(row) != layout.path_columns + 2 * count:
        raise DataError(f"{where}: expected {layout.path_columns + 2 * count} values, found {len(row)}")
    # Windows writes its own separator.
    name = "/".join(part.strip() for part in row[: layout.path_columns]).replace("\\", "/")
    if not name.strip("/"):
        raise DataError(f"{where}: expected a picture's path, found none")
    points, visible = np.zeros((count, 2)), np.zeros(count, dtype=bool)
    pairs = np.array([text.strip() for text in row[layout.path_columns :]]).reshape(count, 2)
    for keypoint, pair in enumerate(pairs.tolist()):
        _place(points, visible, keypoint, pair, f"{where}: {layout.bodyparts[keypoint]}")
    return KeypointSample(
        ImageFile(_find_picture(path, images, name)), points, visible, f"{path}, line {number}", image_id=name
    )


def _place(points: NDArray[np.float64], visible: NDArray[np.bool_], keypoint: int, pair: list[str], where: str) -> None:
    blank = [text in _BLANKS for text in pair]
    if all(blank):
        return
    if any(blank):
        raise DataError(f"{where} has only one coordinate")
    try:
        points[keypoint], visible[keypoint] = [float(text) for text in pair], True
    except ValueError as error:
        raise DataError(f"{where}: expected two numbers, found {', '.join(pair)[:40]!r}") from error


def _find_picture(path: Path, images: Path, name: str) -> Path:
    in_project, beside = images / name, path.parent / Path(name).name
    return beside if not _is_there(in_project) and _is_there(beside) else in_project


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, from a damaged file
        return False
