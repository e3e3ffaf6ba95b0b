"""Annotations read and their pictures opened: what training, evaluation and `check-data` start from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from model_export.data.keypoint_sample import KeypointSample
from model_export.data.readers import Reading, read_samples
from model_export.errors import DataError
from service.contract.crop_transform import ImageHW3

Size = tuple[int, int]  # width, height
OUTSIDE_SHARE = 0.5  # further outside than half of the picture's longer side is no slip of an annotator


def read_checked(
    data_format: str, annotations: Path, images: Path, keypoint_count: int, *, skip_bad: bool = False
) -> Reading:
    """Read the objects of an annotation file and open every picture once.

    Args:
        data_format, annotations, images, keypoint_count: as `read_samples`.
        skip_bad: faulty objects, those whose picture cannot be read or does not show them, are skipped and counted in
            `faults`; a file that cannot be read at all is still raised.

    Raises:
        DataError: the first fault, or no sample is left.
    """
    reading = read_samples(data_format, annotations, images, keypoint_count, skip_bad=skip_bad)
    good, faults = [], list(reading.faults)
    sizes: dict[Callable[[], ImageHW3], Size | DataError] = {}
    for sample in reading.samples:
        fault = picture_fault(sample, sizes)
        if fault is None:
            good.append(sample)
        elif skip_bad:
            faults.append(fault)
        else:
            raise fault
    if not good:
        raise DataError(f"annotation file {annotations}: no object is left, {len(faults)} are faulty: {faults[0]}")
    return Reading(good, reading.left_out, faults)


def picture_fault(
    sample: KeypointSample, sizes: dict[Callable[[], ImageHW3], Size | DataError] | None = None
) -> DataError | None:
    """What is wrong with a sample whose picture cannot be read, or shows too little for its labels.

    Args:
        sample: its picture is opened.
        sizes: of the pictures opened so far, kept from one call to the next.
    """
    size = picture_size(sample, {} if sizes is None else sizes)
    if isinstance(size, DataError):
        return size
    width, height = size
    margin = OUTSIDE_SHARE * max(size)
    outside = (sample.points_in_image < -margin) | (sample.points_in_image > np.array(size) + margin)
    for keypoint in np.flatnonzero(outside.any(axis=1) & sample.visible):
        x, y = sample.points_in_image[keypoint]
        return DataError(
            f"{sample.origin}: keypoint {keypoint} lies at ({x:g}, {y:g}), outside the picture ({width} x {height})"
        )
    return None


def picture_size(sample: KeypointSample, sizes: dict[Callable[[], ImageHW3], Size | DataError]) -> Size | DataError:
    """Width and height of a sample's picture, or why it cannot be read; opened once for all that share `sizes`."""
    if sample.read_image not in sizes:
        try:
            height, width = sample.read_image().shape[:2]
            sizes[sample.read_image] = width, height
        except DataError as error:
            sizes[sample.read_image] = error
    return sizes[sample.read_image]
