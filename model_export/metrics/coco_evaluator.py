"""COCO's evaluator (faster-coco-eval, the original's matching in C++) on arrays instead of files."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_export.metrics.oks_nms import ScoredInstance, image_order
from model_export.metrics.predictions import LabelledPerson, OksTruth

STATISTICS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
_CATEGORY = 1


def oks_statistics(
    truth: OksTruth, areas: Sequence[float], results: Sequence[ScoredInstance], keypoints: slice
) -> dict[str, float]:
    """COCO's ten statistics, NaN where there is no person of that size.

    AP is the mean over OKS thresholds 0.50, 0.55 ... 0.95 of the precision at 101 recalls, with at most 20 instances a
    picture; M are persons of 32^2 to 96^2 px^2, L larger ones. A person that is a crowd, or has no labelled keypoint
    among `keypoints`, is neither found nor missed, nor are the predictions that match it.

    Args:
        truth: in image pixels.
        areas: of its persons, in square pixels.
        results: in image pixels; each image_id is one of the truth's.
        keypoints: which of the K keypoints count (all: `slice(None)`).
    """
    from faster_coco_eval import COCO, COCOeval_faster  # noqa: PLC0415  (0.1 s that other metrics need not wait for)

    assert {result.image_id for result in results} <= truth.image_ids
    if not any(_counts(person, keypoints) for person in truth.persons):
        return dict.fromkeys(STATISTICS, np.nan)
    numbers = {image_id: n for n, image_id in enumerate(sorted(truth.image_ids, key=image_order), start=1)}
    labelled = COCO(
        {
            "images": [{"id": number} for number in numbers.values()],
            "categories": [{"id": _CATEGORY, "name": "object"}],
            "annotations": [
                _annotation(n, numbers[person.image_id], person, area, keypoints)
                for n, (person, area) in enumerate(zip(truth.persons, areas, strict=True), start=1)
            ],
        }
    )
    found = labelled.loadRes([_result(numbers[result.image_id], result, keypoints) for result in results])
    sigmas = truth.sigmas_K[keypoints].tolist()
    evaluator = COCOeval_faster(labelled, found, "keypoints", kpt_oks_sigmas=sigmas)
    evaluator.run()
    values = [float(value) for value in evaluator.stats]
    return {name: np.nan if value == -1 else value for name, value in zip(STATISTICS, values, strict=True)}


def _counts(person: LabelledPerson, keypoints: slice) -> bool:
    return not person.crowd and bool(person.visible_K[keypoints].any())


def counted_persons(truth: OksTruth, keypoints: slice) -> tuple[int, int]:
    """How many persons count, and how many are ignored."""
    counted = sum(_counts(person, keypoints) for person in truth.persons)
    return counted, len(truth.persons) - counted


def _annotation(number: int, image: int, person: LabelledPerson, area: float, keypoints: slice) -> dict[str, Any]:
    visible = person.visible_K[keypoints]
    points = np.where(visible[:, None], person.points_K2[keypoints], 0.0)
    box = person.box
    return {
        "id": number,  # from 1: the evaluator reads 0 as no match
        "image_id": image,
        "category_id": _CATEGORY,
        "keypoints": np.column_stack([points, 2.0 * visible]).ravel().tolist(),
        "num_keypoints": int(visible.sum()),
        "bbox": [box.x, box.y, box.width, box.height],
        "area": area,
        "iscrowd": int(person.crowd),
    }


def _result(image: int, result: ScoredInstance, keypoints: slice) -> dict[str, Any]:
    rows = np.column_stack([result.points_K2[keypoints], result.scores_K[keypoints]])
    return {
        "image_id": image,
        "category_id": _CATEGORY,
        "keypoints": rows.ravel().tolist(),
        "score": result.score,
    }
