"""The golden image of an adopted file: what the file itself answers for one picture, on the day it is adopted.

It says that the file, its preparation and its decoding still do what they did, not that they do what they should: for
that somebody has to look at the keypoints of a picture.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from service.contract.bundle_manifest import BundleManifest
from service.contract.crop_transform import Box
from service.contract.golden_images import GoldenImage
from service.contract.model_output import CodecOutput, CoordinateOutput, HeatmapOutput, SimccOutput
from service.engine import KeypointEngine
from service.errors import InvalidSetting, RequestError, StartupError
from service.image_decoding import decode_image

_MAX_PIXELS = 50_000_000
_NOISY_RUNS = 8


class GoldenPicture(NamedTuple):
    """A picture and a box on it: the file's name in the bundle, its bytes, its source and terms."""

    name: str
    encoded: bytes
    source: str
    box: Box


def given_picture(path: Path, box: Box, source: str) -> GoldenPicture:
    """A picture file.

    Raises:
        StartupError: it cannot be read.
    """
    try:
        return GoldenPicture(path.name, path.read_bytes(), source, box)
    except OSError as error:
        raise StartupError(f"--golden {path}: it cannot be read ({error.strerror})") from error


def drawn_picture(width: int, height: int) -> GoldenPicture:
    """A drawn figure on a ground of changing colour, for files that come without a picture."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(20, 90, width, dtype=np.uint8)
    picture[..., 1] = np.linspace(30, 120, height, dtype=np.uint8)[:, None]
    picture[..., 2] = 70
    centre, unit = (width / 2, height / 2), min(width, height) / 8
    colours = ((60, 150, 220), (90, 200, 240), (200, 170, 120), (70, 90, 200), (240, 240, 230))
    offsets = ((0, -2.2, 0.9), (0, 0, 1.6), (-1.1, 2.2, 0.5), (1.1, 2.2, 0.5), (0.3, -2.4, 0.2))
    for colour, (x, y, radius) in zip(colours, offsets, strict=True):
        place = round(centre[0] + x * unit), round(centre[1] + y * unit)
        cv2.circle(picture, place, round(radius * unit), colour, cv2.FILLED, cv2.LINE_AA)
    written, encoded = cv2.imencode(".png", picture)
    assert written, "a drawn picture can be encoded"
    return GoldenPicture("drawn.png", np.asarray(encoded).tobytes(), "drawn", Box(0, 0, width, height))


def golden_image(engine: KeypointEngine, picture: GoldenPicture) -> GoldenImage | None:
    """What the engine answers for the picture, to be compared at every start.

    Other processors round differently, and a keypoint that the picture does not show lies wherever its flat response
    happens to be highest. So the crop is looked at again with noise of one grey level, and only keypoints that stay
    within the tolerance are compared; None where none does.

    Raises:
        InvalidSetting: the picture cannot be decoded.
    """
    try:
        image = decode_image(picture.encoded, _MAX_PIXELS)
    except RequestError as error:
        raise InvalidSetting(f"--golden {picture.name}: {error}") from error
    transform = engine.manifest.crop_transform(picture.box)
    crop = np.asarray(transform.extract(image))
    points_in_crop = _points(engine, crop)
    random = np.random.default_rng(0)
    moved_K = np.zeros(len(points_in_crop))
    for _ in range(_NOISY_RUNS):
        noisy = np.clip(crop + random.integers(-1, 2, crop.shape), 0, 255).astype(np.uint8)
        moved_K = np.maximum(moved_K, np.linalg.norm(_points(engine, noisy) - points_in_crop, axis=-1))
    tolerance_in_crop = _tolerance(engine.manifest)
    compared = tuple(int(index) for index in np.flatnonzero(moved_K <= tolerance_in_crop))
    if not compared:
        return None
    box = picture.box
    return GoldenImage(
        image=picture.name,
        source=picture.source,
        box=(box.x, box.y, box.width, box.height),
        points_in_image=tuple((round(x, 3), round(y, 3)) for x, y in transform.to_image(points_in_crop).tolist()),
        tolerance=round(tolerance_in_crop / transform.scale, 3),
        compared=None if len(compared) == len(moved_K) else compared,
    )


def _points(engine: KeypointEngine, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
    points_in_crop: NDArray[np.float32] = engine.run(crop[np.newaxis]).points_in_crop_NK2[0]
    return points_in_crop


def _tolerance(manifest: BundleManifest) -> float:
    """How far rounding may move a keypoint that is there, in crop pixels."""
    match manifest.output:
        case SimccOutput() as output:
            return 1.5 / output.split_ratio  # the next bin
        case HeatmapOutput() | CodecOutput() as output:
            # Between two equal cells a quarter step answers either side of the middle, half a cell apart.
            return (0.75 if output.decoding == "quarter_step" else 0.25) * output.stride
        case CoordinateOutput():
            return 0.25
