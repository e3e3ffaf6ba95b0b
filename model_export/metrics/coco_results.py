"""COCO's results file: what other evaluators read, and the test server takes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model_export.metrics.oks import WHOLEBODY_COUNT, WHOLEBODY_PARTS
from model_export.metrics.oks_nms import ScoredInstance

_PERSON = 1
# COCO-WholeBody writes its parts under these keys.
_KEYS = {
    "body": "keypoints",
    "foot": "foot_kpts",
    "face": "face_kpts",
    "left hand": "lefthand_kpts",
    "right hand": "righthand_kpts",
}


def write_coco_results(path: Path, results: Sequence[ScoredInstance]) -> None:
    """Write results: keypoints as x, y, score in image pixels. Image ids that are numbers are written as numbers."""
    path.write_text(json.dumps([_entry(result) for result in results]) + "\n", encoding="utf-8")


def _entry(result: ScoredInstance) -> dict[str, Any]:
    rows_K3 = np.column_stack([result.points_K2, result.scores_K])
    wholebody = len(rows_K3) == WHOLEBODY_COUNT
    parts = {_KEYS[name]: WHOLEBODY_PARTS[name] for name in _KEYS} if wholebody else {"keypoints": slice(None)}
    return {
        "image_id": int(result.image_id) if result.image_id.isdecimal() else result.image_id,
        "category_id": _PERSON,
        **{key: rows_K3[part].ravel().tolist() for key, part in parts.items()},
        "score": result.score,
    }
