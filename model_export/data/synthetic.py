"""Drawn faces with exact truth: five keypoints on a disc, for tests and for trying things without any data."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from service.contract.crop_transform import ImageHW3

KEYPOINT_NAMES = ("right_eye", "left_eye", "nose_tip", "mouth_right", "mouth_left")

# Places on a face of radius one, x right and y down; the subject's right is on the picture's left.
_PLACES = np.array([[-0.4, -0.3], [0.4, -0.3], [0.0, 0.1], [-0.35, 0.5], [0.35, 0.5]])
_SIDE = 128
_SUBPIXEL_BITS = 4  # OpenCV draws with coordinates in sixteenths of a pixel


@dataclass(frozen=True, slots=True)
class DrawnFace:
    """Draws one face, the same for the same seed: RGB uint8 (128, 128, 3)."""

    points_in_image: tuple[tuple[float, float], ...]
    radius: float
    seed: int

    def __call__(self) -> ImageHW3:
        """Draw the picture."""
        random = np.random.default_rng(self.seed)
        coarse = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        image = np.asarray(cv2.resize(coarse, (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
        right_eye, left_eye, nose, mouth_right, mouth_left = self.points_in_image
        centre = np.mean([right_eye, left_eye, mouth_right, mouth_left], axis=0)
        skin = tuple(int(level) for level in random.integers(150, 250, 3))
        dark = tuple(int(level) for level in random.integers(0, 70, 3))
        self._disc(image, centre, self.radius, skin)
        for eye in (right_eye, left_eye):
            self._disc(image, eye, self.radius * 0.13, dark)
        self._disc(image, nose, self.radius * 0.08, (200, 60, 60))
        ends = [_fixed(mouth_right), _fixed(mouth_left)]
        cv2.line(image, ends[0], ends[1], dark, max(1, round(self.radius * 0.1)), cv2.LINE_AA, _SUBPIXEL_BITS)
        return image

    @staticmethod
    def _disc(image: ImageHW3, centre: object, radius: float, colour: tuple[int, ...]) -> None:
        at = _fixed(centre)
        cv2.circle(image, at, round(radius * 2**_SUBPIXEL_BITS), colour, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed(point: object) -> tuple[int, int]:
    x, y = np.round(np.asarray(point, dtype=float) * 2**_SUBPIXEL_BITS).astype(int)
    return int(x), int(y)


def draw_samples(count: int, seed: int) -> list[KeypointSample]:
    """`count` drawn faces of random place, size and tilt; the same for the same seed."""
    random = np.random.default_rng(seed)
    return [_draw_sample(random, f"drawn face {index} of seed {seed}") for index in range(count)]


def _draw_sample(random: np.random.Generator, origin: str) -> KeypointSample:
    radius = float(random.uniform(20, 40))
    centre = random.uniform(radius, _SIDE - radius, 2)
    angle = random.uniform(-0.5, 0.5)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points: NDArray[np.float64] = centre + radius * _PLACES @ turn.T
    face = DrawnFace(tuple((float(x), float(y)) for x, y in points), radius, int(random.integers(2**31)))
    return KeypointSample(face, points, np.ones(len(points), dtype=bool), origin)
