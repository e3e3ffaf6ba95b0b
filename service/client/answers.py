"""What comes back: arrays and names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.client.pictures import Picture, picture_pixels
from service.schemas import KeypointsAnswer


class Keypoint(NamedTuple):
    """One point: image pixels, x right and y down, and its score in [0, 1]."""

    x: float
    y: float
    score: float


@dataclass(frozen=True, eq=False)
class Heatmaps:
    """float16 (K, h, w), and the matrix (2, 3) that takes a cell (column, row, 1) to image pixels."""

    values_KHW: NDArray[np.float16]
    to_image: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Instance:
    """One object; its arrays cannot be written to.

    Attributes:
        names: of the K keypoints, in the model's order.
        keypoints: float64 (K, 2), in pixels of the picture as displayed; the centre of the first pixel is 0, 0.
        scores: float64 (K,) in [0, 1]. Keypoints of low score are there too: whether to believe them is the caller's.
        box: float64 (4,) `x, y, width, height` that was looked at, in image pixels.
        score: mean of the scores.
        heatmaps: where they were asked for.
    """

    names: tuple[str, ...]
    keypoints: NDArray[np.float64]
    scores: NDArray[np.float64]
    box: NDArray[np.float64]
    score: float
    heatmaps: Heatmaps | None = None

    def by_name(self) -> dict[str, Keypoint]:
        """The keypoints under their names."""
        rows = zip(self.names, self.keypoints.tolist(), self.scores.tolist(), strict=True)
        return {name: Keypoint(x, y, score) for name, (x, y), score in rows}


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer for one picture.

    Attributes:
        model, version, sha256: which model answered, and the SHA-256 of its graph (empty if the server does not say).
        width, height: of the picture as displayed.
        instances: one for each box, in their order; one if no boxes were sent.
        request_id: under which the server has logged it.
        server_ms: milliseconds by stage as the server measured them, and in `total` (`Server-Timing`).
        seconds: that the whole call took, waits included.
        tries: how often the request was sent.
    """

    model: str
    version: str
    sha256: str
    width: int
    height: int
    instances: tuple[Instance, ...]
    request_id: str
    server_ms: Mapping[str, float]
    seconds: float
    tries: int
    _json: KeypointsAnswer = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """The JSON of the answer, in the service's format `native`."""
        return self._json.model_dump(mode="json", exclude_none=True)

    def draw(self, picture: Picture, skeleton: Sequence[tuple[int, int]] = ()) -> NDArray[np.uint8]:
        """A copy of the picture, RGB uint8 (H, W, 3), with the keypoints and bones drawn as the service draws them.

        Args:
            picture: the same picture; see `picture_pixels`.
            skeleton: pairs of keypoint indices, as in the model's description; `Client.draw` looks them up.

        Raises:
            OSError, ValueError: the picture cannot be read, or is of another size.
        """
        from service.contract.crop_transform import Box  # noqa: PLC0415 - who draws nothing need not wait
        from service.drawing import draw_instances  # noqa: PLC0415
        from service.pipeline import Instance as DrawnInstance  # noqa: PLC0415

        image = picture_pixels(picture)
        if image.shape[:2] != (self.height, self.width):
            expected = f"{self.width} x {self.height} pixels, as the one that was answered"
            raise ValueError(f"picture: expected {expected}, found {image.shape[1]} x {image.shape[0]}")
        drawn = [DrawnInstance(Box(*one.box), one.keypoints, one.scores.astype(np.float32)) for one in self.instances]
        return draw_instances(image, drawn, skeleton)
