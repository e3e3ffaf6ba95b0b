"""COCO's per-keypoint constants from data: how far labels of a keypoint lie apart, in units of the object's size.

sigma_k^2 = E[d_k^2 / s^2] (cocodataset.org, keypoint evaluation), where d_k is the distance of a label to the truth and
s^2 the object's area. Two annotators of equal care both err, and their labels lie apart by twice that variance; their
sigma_k^2 is therefore E[d_k^2 / (2 s^2)]. OKS is then exp(-d^2 / (2 (2 sigma_k)^2 s^2)).
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from model_export.errors import DataError

_BOX_AREA_SHARE = 0.53  # of a person's box, where there is no area: that of xtcocotools


class Sigmas(NamedTuple):
    """`sigmas_K` (nan where no object has the keypoint in both) and the number of distances behind each."""

    sigmas_K: NDArray[np.float64]
    counts_K: NDArray[np.int64]
    objects: int


def estimate_sigmas(
    first: Sequence[KeypointSample], second: Sequence[KeypointSample], *, second_is_truth: bool
) -> Sigmas:
    """Sigmas from the same objects labelled twice, or predicted and labelled.

    Objects of one picture (equal `image_id`) belong together where they are closest; those without a partner are left
    out. The size is that of the second's object: its area, or else 0.53 times its box.

    Args:
        first: one annotator's labels, or a network's answers.
        second: another annotator's labels, or (`second_is_truth`) the truth: the distances are then not halved.

    Raises:
        DataError: no object is in both.
    """
    pairs = [pair for one, other in _by_picture(first, second) for pair in _closest(one, other)]
    if not pairs:
        raise DataError("no object stands in both annotation files: the pictures' names must be the same")
    squares_NK = np.array([_relative_squares(one, other) for one, other in pairs])
    counts_K = (~np.isnan(squares_NK)).sum(axis=0)
    means_K = np.nansum(squares_NK, axis=0) / np.where(counts_K, counts_K, np.nan)
    return Sigmas(np.sqrt(means_K if second_is_truth else means_K / 2), counts_K, len(pairs))


def _by_picture(
    first: Sequence[KeypointSample], second: Sequence[KeypointSample]
) -> list[tuple[list[KeypointSample], list[KeypointSample]]]:
    pictures: dict[str, tuple[list[KeypointSample], list[KeypointSample]]] = defaultdict(lambda: ([], []))
    for side, samples in enumerate((first, second)):
        for sample in samples:
            pictures[sample.image_id][side].append(sample)
    return list(pictures.values())


def _closest(first: list[KeypointSample], second: list[KeypointSample]) -> list[tuple[KeypointSample, KeypointSample]]:
    """The closest pair, then the closest of those left, and so on."""
    distances = sorted(
        (float(np.nanmean(_relative_squares(one, other))), i, j)
        for i, one in enumerate(first)
        for j, other in enumerate(second)
        if (one.visible & other.visible).any()
    )
    pairs, taken_i, taken_j = [], set[int](), set[int]()
    for _, i, j in distances:
        if i not in taken_i and j not in taken_j:
            pairs.append((first[i], second[j]))
            taken_i.add(i)
            taken_j.add(j)
    return pairs


def _relative_squares(first: KeypointSample, second: KeypointSample) -> NDArray[np.float64]:
    """(K,): d^2 / s^2, nan where not both are visible."""
    squares = ((first.points_in_image - second.points_in_image) ** 2).sum(axis=1)
    area = second.area or _BOX_AREA_SHARE * second.box.width * second.box.height
    return np.where(first.visible & second.visible, squares / area, np.nan)
