"""Annotations read and their pictures opened: what training, evaluation and `check-data` start from."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
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
    with closing(_with_sizes(reading.samples)) as with_sizes:
        for sample, size in with_sizes:
            fault = picture_fault(sample, size)
            if fault is None:
                good.append(sample)
            elif skip_bad:
                faults.append(fault)
            else:
                raise fault
    if not good:
        raise DataError(f"annotation file {annotations}: no object is left, {len(faults)} are faulty: {faults[0]}")
    return Reading(good, reading.left_out, faults)


def picture_fault(sample: KeypointSample, size: Size | DataError) -> DataError | None:
    """What is wrong with a sample whose picture cannot be read, or shows too little for its labels.

    Args:
        sample: its picture is not opened.
        size: of its picture, or why it cannot be read.
    """
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


def picture_size(read_image: Callable[[], ImageHW3]) -> Size | DataError:
    """Width and height of a picture, or why it cannot be read."""
    try:
        height, width = read_image().shape[:2]
    except DataError as error:
        return error
    return width, height


def _with_sizes(samples: Sequence[KeypointSample]) -> Generator[tuple[KeypointSample, Size | DataError]]:
    """The samples in order, each with its picture's size; every picture is opened once, several at a time."""
    pictures = list(dict.fromkeys(sample.read_image for sample in samples))
    sizes: dict[Callable[[], ImageHW3], Size | DataError] = {}
    pool = ThreadPoolExecutor()  # OpenCV decodes outside the interpreter's lock
    try:
        found = zip(pictures, pool.map(picture_size, pictures), strict=True)
        for sample in samples:
            while sample.read_image not in sizes:
                sizes.update([next(found)])
            yield sample, sizes[sample.read_image]
    finally:
        pool.shutdown(cancel_futures=True)
