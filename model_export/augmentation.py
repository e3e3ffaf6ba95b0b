"""Random changes of a training crop: geometry through the contract's crop, then photometry and occlusion.

Everything is drawn from the generator that is passed in, so a sample's crop is a function of seed, epoch and index.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.augmentation_sections import RobustAugmentation
from model_export.recipe import Input
from service.contract.crop_transform import Box, CropTransform, ImageHW3


def random_crop_transform(
    image: ImageHW3, box: Box, size: Input, augmentation: RobustAugmentation, random: np.random.Generator
) -> CropTransform:
    """A crop around a randomly moved, grown, turned and perhaps mirrored box.

    Most crops are tight: the box moves by up to `shift` of what a crop just around it shows, and grows by a factor
    drawn log-uniformly from `scale`. A share of `wide_share` are wide views such as a whole picture given without a
    box: the factor is drawn log-uniformly between one and the one that shows the whole picture (at most `wide_scale`),
    and the object lies anywhere in the view. With nothing random it is the crop that validation and the service cut.
    """
    # Width and height that a crop just around the box shows: the box grown to the crop's aspect ratio.
    seen = np.array([size.width, size.height]) * max(box.width / size.width, box.height / size.height)
    if random.random() < augmentation.wide_share:
        whole = (np.array([image.shape[1], image.shape[0]]) / seen).max()
        factor = float(np.exp(random.uniform(0.0, np.log(np.clip(whole, 1.0, augmentation.wide_scale)) + 0.1)))
        reach = max(factor - 1.0, 0.1) / 2
    else:
        factor = float(np.exp(random.uniform(*np.log(augmentation.scale))))
        reach = augmentation.shift
    right, down = random.uniform(-reach, reach, 2) * seen
    return size.crop_transform(
        Box(box.x + float(right), box.y + float(down), box.width, box.height),
        growth=factor,
        rotation_degrees=float(random.uniform(-1, 1) * augmentation.rotation_degrees),
        mirrored=bool(random.random() < augmentation.flip_share),
    )


def swap_flip_pairs(values_K: NDArray[Any], flip_pairs: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """Values (K, ...) with the two keypoints of each pair exchanged, as a mirrored picture needs it."""
    order = np.arange(len(values_K))
    for left, right in flip_pairs:
        order[left], order[right] = right, left
    return values_K[order]


def change_pixels(crop: ImageHW3, augmentation: RobustAugmentation, random: np.random.Generator) -> ImageHW3:
    """A crop (H, W, 3) with other light, colour, sharpness and noise, and perhaps a patch hidden; a new array."""
    changed = crop.astype(np.float32)
    if random.random() < augmentation.photometric_share:
        changed = _relight(changed, random)
    if random.random() < augmentation.blur_share:
        changed = _degrade(changed, random)
    changed = changed.clip(0, 255)
    if random.random() < augmentation.occlusion_share:
        _hide_patch(changed, random)
    return changed.astype(np.uint8)


def _relight(pixels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    gains = np.exp(random.normal(0.0, 0.25) + random.normal(0.0, 0.08, 3))
    pixels = (pixels - 128) * np.exp(random.normal(0.0, 0.2)) * gains + 128 + random.normal(0.0, 20.0)
    if random.random() < 0.2:
        pixels = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
    gamma = np.exp(random.normal(0.0, 0.25))
    relit: NDArray[np.float32] = (255 * (pixels.clip(0, 255) / 255) ** gamma).astype(np.float32)
    return relit


def _degrade(pixels: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Blur, or the blocks of a picture that was small, and sensor noise."""
    height, width = pixels.shape[:2]
    if random.random() < 0.5:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), float(random.uniform(0.4, 1.8))), np.float32)
    else:
        factor = random.uniform(1.2, 3.0)
        small = cv2.resize(pixels, (int(width / factor), int(height / factor)), interpolation=cv2.INTER_AREA)
        pixels = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    noise = random.standard_normal(pixels.shape, dtype=np.float32)
    noisy: NDArray[np.float32] = pixels + noise * np.float32(random.uniform(0, 10))
    return noisy


def _hide_patch(pixels: NDArray[np.float32], random: np.random.Generator) -> None:
    """Cover one rectangle of up to two fifths of each side with one colour or with noise, in place."""
    height, width = pixels.shape[:2]
    patch_h, patch_w = (int(side * random.uniform(0.1, 0.4)) for side in (height, width))
    top, left = random.integers(0, height - patch_h), random.integers(0, width - patch_w)
    colour = random.uniform(0, 255, 3).astype(np.float32)
    patch = np.broadcast_to(colour, (patch_h, patch_w, 3))
    if random.random() < 0.5:
        patch = random.uniform(0, 255, (patch_h, patch_w, 3)).astype(np.float32)
    pixels[top : top + patch_h, left : left + patch_w] = patch
