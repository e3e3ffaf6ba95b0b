"""Labels made wrong on purpose, to see what finds them: `corrupted_share` in a recipe's `[data]`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.augmentation import swap_flip_pairs
from model_export.data.keypoint_sample import KeypointSample

_MOVED_SHARE = 0.3  # of a sample's visible keypoints, one at least
_LEAST_MOVE, _GREATEST_MOVE = 0.2, 0.5  # of the longer side of the box around the labels


class Corrupted(NamedTuple):
    """The samples, and which of them have wrong labels (S,)."""

    samples: list[KeypointSample]
    corrupted_S: NDArray[np.bool_]


def corrupt_labels(
    samples: Sequence[KeypointSample], share: float, flip_pairs: Sequence[tuple[int, int]], seed: int
) -> Corrupted:
    """Give a share of the samples labels with one of the two mistakes that annotators make.

    Half of them have their sides exchanged (where the object has sides); of the others three of ten visible keypoints
    are moved by a fifth to a half of the longer side of the box, in any direction.

    Args:
        samples: S of them; not changed.
        share: of the samples, rounded to whole ones.
        flip_pairs: of the keypoints.
        seed: the same labels are wrong in the same way for the same seed.
    """
    random = np.random.default_rng((seed, len(samples)))
    chosen = random.permutation(len(samples))[: round(share * len(samples))]
    corrupted = np.zeros(len(samples), dtype=bool)
    corrupted[chosen] = True
    wrong = list(samples)
    for place, index in enumerate(chosen):
        exchanged = bool(flip_pairs) and place % 2 == 0
        wrong[index] = (
            _with_sides_exchanged(samples[index], flip_pairs) if exchanged else _with_moved(samples[index], random)
        )
    return Corrupted(wrong, corrupted)


def _with_sides_exchanged(sample: KeypointSample, flip_pairs: Sequence[tuple[int, int]]) -> KeypointSample:
    points, visible = (swap_flip_pairs(values, flip_pairs) for values in (sample.points_in_image, sample.visible))
    return replace(sample, points_in_image=points, visible=visible)


def _with_moved(sample: KeypointSample, random: np.random.Generator) -> KeypointSample:
    visible = np.flatnonzero(sample.visible)
    moved = random.permutation(visible)[: max(1, round(_MOVED_SHARE * len(visible)))]
    side = float(np.ptp(sample.points_in_image[visible], axis=0).max()) if len(visible) else 0.0
    angle = random.uniform(0, 2 * np.pi, len(moved))
    length = side * random.uniform(_LEAST_MOVE, _GREATEST_MOVE, len(moved))
    points = sample.points_in_image.copy()
    points[moved] += np.stack([np.cos(angle), np.sin(angle)], axis=1) * length[:, None]
    return replace(sample, points_in_image=points)
