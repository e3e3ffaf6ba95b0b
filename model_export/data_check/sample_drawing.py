"""Samples drawn onto their pictures, to see whether points, order and boxes are what one thinks they are."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from model_export.data.keypoint_sample import KeypointSample
from service.contract.bundle_manifest import Keypoints
from service.contract.crop_transform import ImageHW3

_LEAST_SIDE = 480  # smaller pictures are enlarged by a whole factor
_FRACTION_BITS = 4  # OpenCV takes positions in sixteenths of a pixel
_LINE, _BOX, _OUTLINE = (255, 196, 0), (120, 120, 255), (0, 0, 0)


def draw_samples(samples: Sequence[KeypointSample], keypoints: Keypoints, folder: Path, name: str, most: int) -> int:
    """Write `NAME_000.png` ... into a folder: each of the first `most` pictures with all its objects.

    A keypoint's colour follows its index from blue to red, so that a wrong order shows.

    Returns:
        The number of files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_picture: dict[object, list[KeypointSample]] = {}
    for sample in samples:
        by_picture.setdefault(sample.read_image, []).append(sample)
    for index, objects in enumerate(list(by_picture.values())[:most]):
        drawn = draw_objects(objects[0].read_image(), objects, keypoints)
        cv2.imwrite(str(folder / f"{name}_{index:03d}.png"), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    return min(most, len(by_picture))


def draw_objects(image: ImageHW3, objects: Sequence[KeypointSample], keypoints: Keypoints) -> ImageHW3:
    """An enlarged copy of an RGB picture (H, W, 3) with its objects' boxes, skeletons and keypoints."""
    factor = max(1, round(_LEAST_SIDE / max(image.shape[:2])))
    drawn = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    shades = np.linspace(0, 255, len(keypoints.names)).astype(np.uint8)
    colours_K3 = cv2.applyColorMap(shades, cv2.COLORMAP_TURBO).reshape(-1, 3)[:, ::-1]
    for sample in objects:
        # The centre of pixel i lies at i in the picture and in the middle of `factor` pixels in the enlarged one.
        places = np.round(((sample.points_in_image + 0.5) * factor - 0.5) * 2**_FRACTION_BITS).astype(int)
        radius = max(1.5, 0.008 * factor * max(sample.box.width, sample.box.height))
        _draw_box(drawn, sample, factor)
        for start, end in keypoints.skeleton:
            if sample.visible[start] and sample.visible[end]:
                ends = places[start].tolist(), places[end].tolist()
                cv2.line(drawn, *ends, _LINE, max(1, round(radius / 2)), cv2.LINE_AA, _FRACTION_BITS)
        for keypoint in np.flatnonzero(sample.visible):
            place, size = places[keypoint].tolist(), round(radius * 2**_FRACTION_BITS)
            colour = colours_K3[keypoint].tolist()
            cv2.circle(drawn, place, size, colour, cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)
            cv2.circle(drawn, place, size, _OUTLINE, 1, cv2.LINE_AA, _FRACTION_BITS)
    return drawn


def _draw_box(drawn: ImageHW3, sample: KeypointSample, factor: int) -> None:
    box = sample.box
    low = round(box.x * factor), round(box.y * factor)
    high = round((box.x + box.width) * factor) - 1, round((box.y + box.height) * factor) - 1
    cv2.rectangle(drawn, low, high, _BOX, 1)
