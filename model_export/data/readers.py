"""The annotation formats that are read: a new one is a file with a `Reader` and a line in READERS.

Every reader gives image pixels in which pixel i has its centre at i, and raises or gives nothing but DataError for a
file that is not as it should be.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.data.bee import read_bee
from model_export.data.cephalometric import read_cephalometric
from model_export.data.coco import read_coco, read_coco_wholebody
from model_export.data.cofw import read_cofw
from model_export.data.deeplabcut import read_deeplabcut
from model_export.data.deepposekit import read_deepposekit
from model_export.data.entries import NO_VISIBLE_KEYPOINT, Entry
from model_export.data.keypoint_csv import read_keypoint_csv
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.lspet import read_lspet
from model_export.data.mpii import read_mpii
from model_export.data.pts import read_pts
from model_export.data.wflw import read_wflw
from model_export.data.yolo import read_yolo
from model_export.errors import DataError

# Annotation file (or folder, where the format has one file a picture), folder of the pictures, number of keypoints K.
# A fault of the whole file is raised when the reader is called or iterated, a fault of one object is an entry
# (`entries.parse_each` makes it so). Both name the file and line or object, what was expected and what was found.
Reader = Callable[[Path, Path, int], Iterator[Entry]]

READERS: dict[str, Reader] = {
    "csv": read_keypoint_csv,
    "coco": read_coco,
    "coco_wholebody": read_coco_wholebody,
    "mpii": read_mpii,
    "bee": read_bee,
    "yolo": read_yolo,
    "300w": read_pts,
    "cephalometric": read_cephalometric,
    "cofw": read_cofw,
    "deeplabcut": read_deeplabcut,
    "deepposekit": read_deepposekit,
    "lspet": read_lspet,
    "wflw": read_wflw,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a reader found.

    Attributes:
        samples: in the file's order; each has a visible keypoint.
        left_out: rule of the format -> number of objects that are no samples by it.
        faults: what is wrong with the objects that were skipped.
    """

    samples: list[KeypointSample]
    left_out: Counter[str]
    faults: list[DataError]


def read_samples(
    data_format: str, annotations: Path, images: Path, keypoint_count: int, *, skip_bad: bool = False
) -> Reading:
    """Read the objects of an annotation file. Pictures are not opened here.

    Args:
        data_format: a key of READERS.
        annotations: file, or folder where the format has one file a picture.
        images: folder that the pictures' names are relative to.
        keypoint_count: K, the number of keypoints that an object has.
        skip_bad: a faulty object is skipped and counted in `faults`; a file that cannot be read at all is still raised.

    Raises:
        DataError: the file cannot be read, or holds a faulty object (unless `skip_bad`) or no sample at all.
    """
    samples: list[KeypointSample] = []
    left_out: Counter[str] = Counter()
    faults: list[DataError] = []
    for read in READERS[data_format](annotations, images, keypoint_count):
        entry = _checked(read, keypoint_count)
        if isinstance(entry, KeypointSample):
            samples.append(entry)
        elif isinstance(entry, DataError):
            if not skip_bad:
                raise entry
            faults.append(entry)
        else:
            left_out[entry.rule] += 1
    if not samples:
        reasons = [f"{count} left out: {rule}" for rule, count in left_out.items()]
        reasons += [f"{len(faults)} faulty, the first: {faults[0]}"] if faults else []
        raise DataError(
            f"annotation file {annotations} holds no object with a visible keypoint ({'; '.join(reasons) or 'empty'})"
        )
    return Reading(samples, left_out, faults)


def _checked(entry: Entry, keypoint_count: int) -> Entry:
    """What holds for the samples of every format."""
    if not isinstance(entry, KeypointSample):
        return entry
    assert entry.points_in_image.shape == (keypoint_count, 2)
    assert entry.visible.shape == (keypoint_count,)
    if not entry.visible.any():
        return NO_VISIBLE_KEYPOINT
    if not np.isfinite(entry.points_in_image[entry.visible]).all():
        return DataError(f"{entry.origin}: a coordinate is not finite")
    return entry
