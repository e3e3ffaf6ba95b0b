"""The lengths that errors are divided by, one for each sample."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from model_export.metrics.settings import GroupDistance, KeypointDistance, Normaliser
from service.contract.crop_transform import Box


def _box(sample: KeypointSample) -> Box | None:
    return sample.box if sample.annotated_box or sample.visible.any() else None


def _root_area(sample: KeypointSample) -> float | None:
    box = _box(sample)
    return None if box is None else float(np.sqrt(box.width * box.height))


def _longer_side(sample: KeypointSample) -> float | None:
    box = _box(sample)
    return None if box is None else max(box.width, box.height)


_LENGTHS: dict[str, Callable[[KeypointSample], float | None]] = {
    "box_root_area": _root_area,
    "box_longer_side": _longer_side,
    "head_size": lambda sample: sample.head_size,
    "box_size": lambda sample: sample.box_size,
}
_NAMES = {
    "box_root_area": "sqrt(width x height) of the {box}",
    "box_longer_side": "longer side of the {box}",
    "head_size": "head size of the annotations (MPII: 0.6 x diagonal of the head box)",
    "box_size": "box size of the annotations",
}


def normaliser_lengths(samples: Sequence[KeypointSample], normaliser: Normaliser) -> NDArray[np.float64]:
    """The normaliser of each sample (S,) in image pixels; NaN where the sample lacks it or it is not above zero."""
    if isinstance(normaliser, KeypointDistance):
        first, second = normaliser.keypoints
        lengths = [_distance(sample, (first,), (second,)) for sample in samples]
    elif isinstance(normaliser, GroupDistance):
        lengths = [_distance(sample, normaliser.first, normaliser.second) for sample in samples]
    else:
        lengths = [_LENGTHS[normaliser.kind](sample) for sample in samples]
    found = np.array([np.nan if length is None else length for length in lengths], dtype=np.float64)
    return np.where(found > 0, found, np.nan)


def _distance(sample: KeypointSample, first: Sequence[int], second: Sequence[int]) -> float | None:
    """Between the means of two groups of labelled keypoints."""
    if not sample.visible[[*first, *second]].all():
        return None
    means = [sample.points_in_image[list(group)].mean(axis=0) for group in (first, second)]
    return float(np.linalg.norm(means[0] - means[1]))


def normaliser_name(samples: Sequence[KeypointSample], normaliser: Normaliser) -> str:
    """What a report calls it; of a box, whether the annotations give it."""
    if isinstance(normaliser, KeypointDistance | GroupDistance):
        return normaliser.name
    return _NAMES[normaliser.kind].format(box=box_name(samples))


def box_name(samples: Sequence[KeypointSample]) -> str:
    """Where the samples' boxes come from, in words."""
    annotated = sum(sample.annotated_box is not None for sample in samples)
    if annotated == len(samples):
        return "annotated box"
    if annotated:
        return f"annotated box ({annotated} of {len(samples)} samples), else the tightest box around the labels"
    return "tightest box around the labels"
