"""What the benchmark sends: photographs of several sizes, and the box of the face in each."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

# The official portrait of an astronaut, NASA, public domain: 512 x 512, with the box of the face. It is the golden
# image of `face68`, which lies beside this folder, or, in the container, in the folder that the service starts in.
PORTRAIT = Path("models/face68/golden/astronaut.jpg")
PORTRAIT_FACE = (174.0, 84.0, 102.0, 100.0)
SIZES = ((640, 480), (1920, 1080), (4000, 3000))

_QUALITY = 90
# An enlarged picture is smooth, so that its JPEG would be decoded faster than a camera's of that size. Grain of this
# standard deviation makes up for it.
_GRAIN = 4.0

BoxTuple = tuple[float, float, float, float]


class Picture(NamedTuple):
    """An encoded picture, its size in words, and the boxes to ask for; none: the service looks at the whole of it."""

    name: str
    data: bytes
    boxes: tuple[BoxTuple, ...] = ()

    @property
    def query(self) -> str:
        """The boxes as `/v1/keypoints` takes them."""
        boxes = ";".join(",".join(f"{number:g}" for number in box) for box in self.boxes)
        return f"?boxes={boxes}" if boxes else ""


def portraits(sizes: Sequence[tuple[int, int]], *, with_box: bool) -> list[Picture]:
    """The portrait at each size (width, height): scaled until it covers it, cut around the face, a JPEG of quality 90.

    Raises:
        SystemExit: the portrait is not there.
    """
    original = _portrait()
    return [_at_size(original, width, height, with_box=with_box) for width, height in sizes]


def _portrait() -> cv2.typing.MatLike:
    for folder in (Path(__file__).resolve().parent.parent, Path.cwd()):
        if (folder / PORTRAIT).is_file():
            picture = cv2.imread(str(folder / PORTRAIT))
            if picture is not None:
                return picture
    raise SystemExit(f"{PORTRAIT}: not found beside deploy/ nor in the current folder; name pictures with --image")


def _at_size(original: cv2.typing.MatLike, width: int, height: int, *, with_box: bool) -> Picture:
    scale = max(width / original.shape[1], height / original.shape[0])
    full_width, full_height = round(original.shape[1] * scale), round(original.shape[0] * scale)
    x, y, box_width, box_height = (scale * number for number in PORTRAIT_FACE)
    left = int(np.clip(x + box_width / 2 - width / 2, 0, full_width - width))
    top = int(np.clip(y + box_height / 2 - height / 2, 0, full_height - height))
    scaled = cv2.resize(original, (full_width, full_height), interpolation=cv2.INTER_CUBIC)
    cut = scaled[top : top + height, left : left + width]
    if scale > 1.5:
        grain = np.random.default_rng(0).standard_normal((height, width, 1), np.float32) * _GRAIN
        cut = np.clip(cut + grain, 0, 255).astype(np.uint8)
    encoded = cv2.imencode(".jpg", cut, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    box = (round(x - left, 1), round(y - top, 1), round(box_width, 1), round(box_height, 1))
    return Picture(f"{width}x{height}", encoded, (box,) if with_box else ())
