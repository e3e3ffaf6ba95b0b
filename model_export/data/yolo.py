"""YOLO-pose: one text file a picture, one line an object, every coordinate a share of the picture's size.

A line: class, box centre x, y, box width, height, then K times x, y or K times x, y, visibility. With visibility a
keypoint is visible where that is above 0; without it, where neither x nor y is negative (as Ultralytics has it).

0 is the picture's left edge and 1 its right edge, while pixel i has its centre at i: a keypoint lies at x * W - 0.5. A
box counts from the edge: it begins at (x - width / 2) * W. W and H are those of the picture as displayed.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from model_export.data.entries import Entry, LeftOut, parse_each
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.data.text_lines import parse_numbers
from model_export.data.yolo_data_file import Part, read_data_file
from model_export.errors import DataError
from service.contract.crop_transform import Box

NO_OBJECT = LeftOut("picture without an object")

_PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_OTHER_TEXTS = {"classes.txt"}  # annotation tools leave it among the labels
_BOX_VALUES = 5  # class, x, y, width, height


class _Line(NamedTuple):
    where: str
    text: str
    picture: Path
    image_id: str
    size: tuple[int, int]


def read_yolo(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every line of every text file, in the order of their paths; a `Reader`.

    Args:
        annotations: a folder of text files, each with a picture of the same name in `images`; or a data file, see
            `yolo_data_file`, with the part that is meant: `data.yaml#train` (the default), `data.yaml#val`.
        images: the pictures' folder; for a data file, the folder that its `path` is relative to.
        keypoint_count: K.

    Raises:
        DataError: there is no text file, or the data file is not as it should be.
    """
    parts = [Part(annotations, images)] if annotations.is_dir() else read_data_file(annotations, images, keypoint_count)
    files = [(part, file) for part in parts for file in sorted(part.labels.rglob("*.txt"))]
    files = [(part, file) for part, file in files if file.name not in _OTHER_TEXTS]
    if not files:
        folders = ", ".join(str(part.labels) for part in parts)
        raise DataError(f"annotation file {annotations}: expected text files in {folders}, found none")
    return _entries(files, keypoint_count)


def _entries(files: Iterable[tuple[Part, Path]], keypoint_count: int) -> Iterator[Entry]:
    for part, file in files:
        try:
            lines = _lines(part, file)
        except DataError as error:
            yield error
            continue
        if not lines:
            yield NO_OBJECT
        yield from parse_each(lines, partial(_parse, keypoint_count))


def _lines(part: Part, file: Path) -> list[_Line]:
    try:
        texts = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"annotation file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"annotation file {file} is not text in UTF-8: {error}") from error
    numbered = [(number, text) for number, text in enumerate(texts, 1) if text.strip()]
    if not numbered:
        return []
    without_suffix = part.images / file.relative_to(part.labels).with_suffix("")
    candidates = [without_suffix.with_name(without_suffix.name + suffix) for suffix in _PICTURE_SUFFIXES]
    picture = next((path for path in candidates if path.is_file()), None)
    if picture is None:
        raise DataError(f"annotation file {file}: expected a picture {without_suffix} of JPEG, PNG, BMP or WebP")
    height, width = ImageFile(picture)().shape[:2]
    image_id = str(picture.relative_to(part.images))
    return [
        _Line(f"annotation file {file}, line {number}", text, picture, image_id, (width, height))
        for number, text in numbered
    ]


def _parse(keypoint_count: int, line: _Line) -> KeypointSample:
    values = np.array(parse_numbers(line.text.split(), line.where))
    sizes = {_BOX_VALUES + keypoint_count * each: each for each in (2, 3)}
    if len(values) not in sizes:
        raise DataError(
            f"{line.where}: expected {' or '.join(map(str, sizes))} numbers for {keypoint_count} keypoints, "
            f"found {len(values)}"
        )
    if not np.isfinite(values).all() or np.abs(values[1:]).max() > 1e3:
        raise DataError(f"{line.where}: expected shares of the picture's size, found {line.text.strip()[:60]!r}")
    size = np.array(line.size, dtype=np.float64)
    x, y, width, height = values[1:_BOX_VALUES] * np.tile(size, 2)
    if min(width, height) <= 0:
        raise DataError(f"{line.where}: expected a box of width and height above zero, found {width:g} x {height:g}")
    points = values[_BOX_VALUES:].reshape(keypoint_count, sizes[len(values)])
    visible = np.asarray(points[:, 2] > 0 if points.shape[1] == 3 else (points >= 0).all(axis=1))
    nothing = ~visible & (points[:, :2] <= 0).any(axis=1)  # what stands in place of coordinates
    return KeypointSample(
        read_image=ImageFile(line.picture),
        points_in_image=np.where(nothing[:, None], 0.0, points[:, :2] * size - 0.5),
        visible=visible,
        origin=line.where,
        annotated_box=Box(x - width / 2, y - height / 2, width, height),
        image_id=line.image_id,
    )
