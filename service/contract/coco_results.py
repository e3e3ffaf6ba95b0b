"""One entry of COCO's results file, which other evaluators read and the test server takes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Keypoints of COCO-WholeBody in its order; a person counts for a part where one of the part's keypoints is labelled.
WHOLEBODY_COUNT = 133
WHOLEBODY_PARTS = {
    "body": slice(0, 17),
    "foot": slice(17, 23),
    "face": slice(23, 91),
    "left hand": slice(91, 112),
    "right hand": slice(112, 133),
    "whole": slice(0, 133),
}

# COCO-WholeBody writes its parts under these keys.
_KEYS = {
    "body": "keypoints",
    "foot": "foot_kpts",
    "face": "face_kpts",
    "left hand": "lefthand_kpts",
    "right hand": "righthand_kpts",
}


def coco_result(
    image_id: int | str,
    points_K2: NDArray[np.floating[Any]],
    scores_K: NDArray[np.floating[Any]],
    score: float,
    category_id: int = 1,
) -> dict[str, Any]:
    """An object's entry: `keypoints` as x, y, score in image pixels; of 133 keypoints, the parts of COCO-WholeBody.

    Evaluators read x and y only; the score stands where annotations have the visibility, as mmpose writes it.
    """
    rows_K3 = np.column_stack([points_K2, scores_K])
    wholebody = len(rows_K3) == WHOLEBODY_COUNT
    parts = {_KEYS[name]: WHOLEBODY_PARTS[name] for name in _KEYS} if wholebody else {"keypoints": slice(None)}
    return {
        "image_id": image_id,
        "category_id": category_id,
        **{key: rows_K3[part].ravel().tolist() for key, part in parts.items()},
        "score": score,
    }
