"""300-W: one `.pts` file for each picture, beside it and of the same name.

    version: 1
    n_points: 68
    {
    446.000 91.000
    ...
    }

Coordinates count from one, as in MATLAB: the top left pixel is (1, 1), so one is taken off. The format does not say so;
that is how menpo reads these files, the library of the group that made 300-W (`pts_importer`). Loaders that leave the
one in place (those behind HRNet's facial lists, for instance) have every label a pixel to the lower right of ours.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from model_export.data.entries import Entry, parse_each
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.data.text_lines import parse_numbers, read_text_lines
from model_export.errors import DataError

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp"}
_FIRST_PIXEL = 1.0


def read_pts(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every `.pts` file, in the order of their paths; a `Reader`. All keypoints are visible.

    Args:
        annotations: a folder, read with all that lies below it; or a text file with the path of a folder or of a `.pts`
            file on each line, relative to the text file (300-W's training set is several folders); or one `.pts` file.
        images: the pictures lie below this folder as the `.pts` files lie below that of `annotations`.
        keypoint_count: K.

    Raises:
        DataError: the list cannot be read, or there is no `.pts` file.
    """
    base = annotations if annotations.is_dir() else annotations.parent
    if annotations.is_dir() or annotations.suffix == ".pts":
        files = _pts_files(annotations, f"annotation file {annotations}")
    else:
        lines = read_text_lines(annotations)
        files = [
            file for n, line in lines for file in _pts_files(base / line, f"annotation file {annotations}, line {n}")
        ]
    return parse_each(files, partial(_parse_file, base, images, keypoint_count))


def _pts_files(path: Path, where: str) -> list[Path]:
    try:
        found = sorted(path.rglob("*.pts")) if path.is_dir() else [path] if path.suffix == ".pts" else []
    except (OSError, ValueError):  # a name that no file can have, from a damaged list
        found = []
    if not found:
        raise DataError(f"{where}: expected a .pts file or a folder with some, found {str(path)[:200]!r}")
    return found


def _parse_file(base: Path, images: Path, keypoint_count: int, path: Path) -> KeypointSample:
    where = f"annotation file {path}"
    if not path.is_relative_to(base):
        raise DataError(f"{where}: expected a file below {base}, where the list lies")
    lines = [line for _, line in read_text_lines(path)]
    declared = next((line for line in lines if line.startswith("n_points")), "")
    expected_line = f"n_points: {keypoint_count}"
    if re.sub(r"\s+", "", declared) != expected_line.replace(" ", ""):
        raise DataError(f"{where}: expected a line '{expected_line}', found {declared[:40] or 'none'!r}")
    if "{" not in lines or lines[-1] != "}":
        raise DataError(f"{where}: expected the coordinates between a line '{{' and a last line '}}'")
    rows = [line.split() for line in lines[lines.index("{") + 1 : -1]]
    if len(rows) != keypoint_count or any(len(row) != 2 for row in rows):
        raise DataError(f"{where}: expected {keypoint_count} lines 'x y' between the braces, found {len(rows)} lines")
    points = np.array([parse_numbers(row, where) for row in rows]) - _FIRST_PIXEL
    picture = _picture_of(path, base, images)
    return KeypointSample(
        ImageFile(picture),
        points,
        np.ones(keypoint_count, dtype=bool),
        str(path),
        image_id=picture.relative_to(images).as_posix(),
    )


def _picture_of(path: Path, base: Path, images: Path) -> Path:
    folder = (images / path.relative_to(base)).parent
    candidates = sorted(folder.iterdir()) if folder.is_dir() else []
    for candidate in candidates:
        if candidate.stem == path.stem and candidate.suffix.lower() in _PICTURES:
            return candidate
    raise DataError(f"annotation file {path}: there is no picture {folder / path.stem} with .png, .jpg or .bmp")
