"""What is sent: requests as plain values, made before there is a connection."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from service.client.pictures import Picture, picture_file
from service.paths import KEYPOINTS_PATH

Boxes = NDArray[Any] | Sequence[Sequence[float]]


@dataclass(frozen=True)
class Message:
    """One request.

    Attributes:
        boxes: how many objects were asked for; None for the one of the whole picture.
        sent_again: whether it may be, after a failure that passes.
    """

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    boxes: int | None = None
    sent_again: bool = True


def keypoints_message(
    picture: Picture, boxes: Boxes | None, model: str | None, version: str | None, heatmaps: bool
) -> Message:
    """`POST /v1/keypoints` with the picture as it is; see `picture_file`.

    Args:
        picture: see `picture_file`.
        boxes: n x 4 numbers `x, y, width, height` in image pixels; None for the whole picture.
        model: None for the server's default.
        version: None for the newest.
        heatmaps: whether to ask for them.

    Raises:
        OSError: the file cannot be read.
        ValueError: a picture, boxes or names that cannot be sent.
    """
    query = {"boxes": _boxes_text(boxes)} if boxes is not None else {}
    query |= {name: value for name, value in (("model", model), ("version", version)) if value is not None}
    if heatmaps:
        query["heatmaps"] = "true"
    content, media_type = picture_file(picture)
    headers = {"Content-Type": media_type, "Accept": "application/json"}
    return Message("POST", KEYPOINTS_PATH, query, headers, content, None if boxes is None else len(boxes))


def _boxes_text(boxes: Boxes) -> str:
    """The boxes as the query has them; a number is written so that it is read as the same float64.

    Raises:
        ValueError: they are not n x 4 finite numbers, or none at all.
    """
    try:
        boxes_N4 = np.asarray(boxes, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"boxes: expected n x 4 numbers, found {boxes!r:.80}") from error
    if not boxes_N4.size:
        # To the server no boxes mean the whole picture: whoever found no object must not be told of one.
        raise ValueError("boxes: expected at least one, or None for the whole picture, found none")
    if boxes_N4.ndim != 2 or boxes_N4.shape[1] != 4 or not np.isfinite(boxes_N4).all():
        raise ValueError(f"boxes: expected n x 4 finite numbers, found {boxes!r:.80} of shape {boxes_N4.shape}")
    return ";".join(",".join(map(repr, box)) for box in boxes_N4.tolist())


MODELS: Final = Message("GET", "/v1/models")

# Whoever asks this wants to know how it is now.
READY: Final = Message("GET", "/readyz", sent_again=False)


def model_message(name: str, version: str | None) -> Message:
    """`GET /v1/models/{name}`; of a version, or None for the newest."""
    return Message("GET", f"/v1/models/{quote(name, safe='')}", {} if version is None else {"version": version})
