"""The ISBI 2015 cephalometric challenge as distributed: a text file for each picture and annotator.

`annotations` is the folder that holds a folder for each annotator (`400_junior`, `400_senior`), and those hold
`001.txt`, `002.txt` ... : a line `x,y` for each landmark, then lines without a comma (the classes of the film). The
label is the mean of the annotators. `images` is the folder of one split (`RawImage/TrainingData`, `Test1Data`,
`Test2Data`): its pictures say which files are read. Coordinates are taken as they are, from zero, as the public loaders
take them.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_export.data.entries import Entry, parse_each
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.data.text_lines import parse_numbers, read_text_lines
from model_export.errors import DataError

# Of the films of 1935 x 2400 pixels; pictures of another size want the plain CSV format with its own column.
MM_PER_PIXEL = 0.1

_PICTURES = {".bmp", ".png", ".jpg", ".jpeg"}


def read_cephalometric(annotations: Path, images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every picture of `images`, in the order of their names; a `Reader`. All landmarks are visible.

    Raises:
        DataError: there is no folder with annotators, or no picture.
    """
    if not annotations.is_dir():
        raise DataError(f"annotation file {annotations}: expected a folder with a folder for each annotator")
    annotators = sorted(path for path in annotations.iterdir() if path.is_dir() and any(path.glob("*.txt")))
    if not annotators:
        raise DataError(
            f"annotation file {annotations}: expected folders of .txt files, such as 400_senior, found none"
        )
    pictures = sorted(path for path in images.iterdir() if path.suffix.lower() in _PICTURES) if images.is_dir() else []
    if not pictures:
        raise DataError(f"annotation file {annotations}: there is no picture in {images}")
    return parse_each(pictures, partial(_parse_picture, annotators, keypoint_count))


def _parse_picture(annotators: list[Path], keypoint_count: int, picture: Path) -> KeypointSample:
    of_each = [_read_points(annotator / f"{picture.stem}.txt", keypoint_count) for annotator in annotators]
    return KeypointSample(
        ImageFile(picture),
        np.mean(of_each, axis=0),
        np.ones(keypoint_count, dtype=bool),
        f"{annotators[0].parent}, {picture.stem}",
        mm_per_pixel=MM_PER_PIXEL,
        image_id=picture.name,
    )


def _read_points(path: Path, keypoint_count: int) -> NDArray[np.float64]:
    rows = [(number, line.split(",")) for number, line in read_text_lines(path) if "," in line]
    if len(rows) != keypoint_count or any(len(row) != 2 for _, row in rows):
        raise DataError(
            f"annotation file {path}: expected {keypoint_count} lines 'x,y', found {len(rows)} with a comma"
        )
    return np.array([parse_numbers(row, f"annotation file {path}, line {number}") for number, row in rows])
