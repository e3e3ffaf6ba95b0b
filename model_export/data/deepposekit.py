"""DeepPoseKit: one HDF5 file with `images` (N, H, W, 1 or 3), `annotations` (N, K, 2) and `annotated` (N, K).

`annotated` says which points a person has set; the others hold first guesses. Files are about that have it False
throughout although their points are good (the published excerpt of the fly set): where it is never True it is taken to
have been left unset, and every point that is a number counts. `skeleton` is not read: the recipe names the keypoints.
Coordinates are image pixels from zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_export.data.entries import Entry, parse_each
from model_export.data.hdf5_file import as_rgb, dataset, open_hdf5
from model_export.data.keypoint_sample import KeypointSample
from model_export.errors import DataError
from service.contract.crop_transform import ImageHW3


@dataclass(frozen=True, slots=True)
class EmbeddedPicture:
    """Reads picture `index` of a DeepPoseKit file as RGB uint8 (H, W, 3)."""

    path: Path
    index: int

    def __call__(self) -> ImageHW3:
        """Read the picture.

        Raises:
            DataError: it cannot be read.
        """
        with open_hdf5(self.path) as file:
            pixels = np.asarray(dataset(file, "images")[self.index])
        return as_rgb(pixels, f"annotation file {self.path}, image {self.index}")


def read_deepposekit(annotations: Path, _images: Path, keypoint_count: int) -> Iterator[Entry]:
    """Every image of the file, in order; a `Reader`. The folder of pictures is not used: they are in the file.

    Raises:
        DataError: the file cannot be read, or its arrays do not fit together.
    """
    with open_hdf5(annotations) as file:
        points_NK2 = np.asarray(dataset(file, "annotations")[()])
        annotated_NK = np.asarray(dataset(file, "annotated")[()])
        pictures = dataset(file, "images").shape
    count = len(pictures) and pictures[0]
    if points_NK2.shape != (count, keypoint_count, 2) or annotated_NK.shape != (count, keypoint_count) or not count:
        raise DataError(
            f"annotation file {annotations}: expected annotations and annotated of N x {keypoint_count} x 2 and "
            f"N x {keypoint_count} for its N = {count} images, found {points_NK2.shape} and {annotated_NK.shape}"
        )
    if not (np.issubdtype(points_NK2.dtype, np.number) and annotated_NK.dtype == np.bool_):
        raise DataError(
            f"annotation file {annotations}: expected numbers in annotations and True or False in annotated, "
            f"found {points_NK2.dtype} and {annotated_NK.dtype}"
        )
    counts_NK = annotated_NK if annotated_NK.any() else np.ones_like(annotated_NK)
    return parse_each(range(count), partial(_parse_image, annotations, points_NK2.astype(float), counts_NK))


def _parse_image(
    annotations: Path, points_NK2: NDArray[np.float64], counts_NK: NDArray[np.bool_], index: int
) -> KeypointSample:
    points = points_NK2[index]
    return KeypointSample(
        EmbeddedPicture(annotations, index),
        points,
        counts_NK[index] & ~np.isnan(points).all(axis=1),
        f"{annotations}, image {index}",
        image_id=str(index),
    )
