"""From instances to COCO results: rescoring and non-maximum suppression by object keypoint similarity.

Both as in the evaluation of SimpleBaseline and HRNet (`rescore_nms`): what their published numbers were measured with.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.metrics.predictions import FloatArray, Instance


class ScoredInstance(NamedTuple):
    """An instance with the score that it is ranked by. Points (K, 2) in image pixels, scores (K,)."""

    image_id: str
    points_K2: FloatArray
    scores_K: FloatArray
    score: float
    area: float


def instance_similarities(
    points_K2: FloatArray, area: float, others_NK2: FloatArray, areas_N: FloatArray, sigmas_K: FloatArray
) -> NDArray[np.float64]:
    """OKS of one prediction with others (N,): the mean over all K of exp(-d^2 / (2 a (2 sigma)^2)).

    `a` is the mean of the two areas in square pixels: neither prediction is the truth.
    """
    distance_squared_NK = ((others_NK2 - points_K2) ** 2).sum(axis=-1)
    area_N = (area + areas_N) / 2 + np.spacing(1)
    exponent = distance_squared_NK / (2 * sigmas_K) ** 2 / area_N[:, None] / 2
    return np.asarray(np.exp(-exponent).mean(axis=1))


def rescore(instance: Instance, keypoint_score_above: float) -> ScoredInstance:
    """Score = box score x mean of the keypoint scores above the threshold; 0 where none is.

    A keypoint that is not finite becomes (0, 0) with score 0, COCO's way of writing that there is none.
    """
    found = np.asarray(np.isfinite(instance.points_K2).all(axis=1))
    points = np.where(found[:, None], instance.points_K2, 0.0)
    scores = np.where(found & np.isfinite(instance.scores_K), instance.scores_K, 0.0)
    counted = scores[scores > keypoint_score_above]
    score = instance.box_score * float(counted.mean()) if counted.size else 0.0
    return ScoredInstance(instance.image_id, points, scores, score, instance.area)


def suppress(instances: Sequence[ScoredInstance], sigmas_K: FloatArray, nms_above: float) -> list[ScoredInstance]:
    """Of the instances of one picture, those that have no better one with an OKS above the threshold; best first."""
    rest = sorted(instances, key=_rank)
    kept = []
    while rest:
        best, *rest = rest
        kept.append(best)
        if rest:
            points, areas = np.stack([other.points_K2 for other in rest]), np.array([other.area for other in rest])
            similar = instance_similarities(best.points_K2, best.area, points, areas, sigmas_K) > nms_above
            rest = [other for other, drop in zip(rest, similar, strict=True) if not drop]
    return kept


def scored_results(
    instances: Sequence[Instance], sigmas_K: FloatArray, keypoint_score_above: float, nms_above: float
) -> list[ScoredInstance]:
    """Rescored instances that survive suppression in their pictures, pictures in COCO's order, best first."""
    by_image: dict[str, list[ScoredInstance]] = defaultdict(list)
    for instance in instances:
        by_image[instance.image_id].append(rescore(instance, keypoint_score_above))
    return [
        kept
        for image_id in sorted(by_image, key=image_order)
        for kept in suppress(by_image[image_id], sigmas_K, nms_above)
    ]


def image_order(image_id: str) -> tuple[bool, int, str]:
    """Sorts numbers as numbers, before names: COCO's evaluator breaks ties between pictures by their number."""
    numeric = image_id.isdecimal()
    return not numeric, int(image_id) if numeric else 0, image_id


def _rank(instance: ScoredInstance) -> tuple[float, list[float]]:
    """Best first; equal scores by their points, so that the order they came in never matters."""
    return -instance.score, instance.points_K2.ravel().tolist()
