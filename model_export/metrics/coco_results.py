"""COCO's results file: what other evaluators read, and the test server takes."""

import json
from collections.abc import Sequence
from pathlib import Path

from model_export.metrics.oks_nms import ScoredInstance
from service.contract.coco_results import coco_result


def write_coco_results(path: Path, results: Sequence[ScoredInstance]) -> None:
    """Write results: keypoints as x, y, score in image pixels. Image ids that are numbers are written as numbers."""
    entries = [
        coco_result(_image_id(result.image_id), result.points_K2, result.scores_K, result.score) for result in results
    ]
    path.write_text(json.dumps(entries) + "\n", encoding="utf-8")


def _image_id(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
