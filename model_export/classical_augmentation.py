"""The training crops of Simple Baselines and HRNet: a random scale and turn, mirroring, half bodies.

Everything is drawn from the generator that is passed in, so a sample's crop is a function of seed, epoch and index.
"""

import numpy as np
from numpy.typing import NDArray

from model_export.augmentation_sections import ClassicalAugmentation
from model_export.data.keypoint_sample import KeypointSample
from model_export.recipe import Input
from service.contract.crop_transform import Box, CropTransform, box_around

_FEWEST_TO_CHOOSE = 2


def classical_crop_transform(
    sample: KeypointSample, size: Input, augmentation: ClassicalAugmentation, random: np.random.Generator
) -> CropTransform:
    """A crop around the sample's box, or half its body, randomly scaled, turned and mirrored.

    s = clip(N sf + 1, 1 - sf, 1 + sf) and, with probability `rotation_share`, r = clip(N rf, -2 rf, 2 rf), N standard
    normal.
    """
    view = size.crop_transform
    box, padding_factor = sample.box, 1.0
    if sample.visible.sum() > augmentation.half_body_above and random.random() < augmentation.half_body_share:
        half = half_body_box(sample, size, augmentation.upper_body, random)
        if half is not None:
            box, padding_factor = half, augmentation.half_body_padding / size.padding
    sf, rf = augmentation.scale_factor, augmentation.rotation_factor
    growth = float(np.clip(random.standard_normal() * sf + 1, 1 - sf, 1 + sf))
    turned = random.random() <= augmentation.rotation_share
    rotation = float(np.clip(random.standard_normal() * rf, -2 * rf, 2 * rf)) if turned else 0.0
    mirrored = bool(random.random() < augmentation.flip_share)
    return view(box, growth=padding_factor * growth, rotation_degrees=rotation, mirrored=mirrored)


def half_body_box(
    sample: KeypointSample, size: Input, upper_body: tuple[int, ...], random: np.random.Generator
) -> Box | None:
    """The tightest box around the visible keypoints of one half, moved to their mean; None where there is no half.

    The upper half is taken where a standard normal number is below 0.5 (so 69 times of 100, as the original draws it)
    and more than two of its keypoints are visible; else the lower, where more than two of its are; else the upper. The
    box is not padded. It covers the distance between the outermost points, not their pixels, and its centre is the mean
    of the points, so that it may cut some off, which the padding makes up for.
    """
    is_upper = np.zeros(len(sample.visible), dtype=bool)
    is_upper[list(upper_body)] = True
    upper, lower = sample.visible & is_upper, sample.visible & ~is_upper
    prefers_upper = random.standard_normal() < 0.5
    if prefers_upper and upper.sum() > _FEWEST_TO_CHOOSE:
        chosen = upper
    else:
        chosen = lower if lower.sum() > _FEWEST_TO_CHOOSE else upper
    if chosen.sum() < _FEWEST_TO_CHOOSE:
        return None
    points: NDArray[np.float64] = sample.points_in_image[chosen]
    width, height = (float(side) for side in np.ptp(points, axis=0))
    ratio = size.width / size.height
    width, height = max(width, height * ratio), max(height, width / ratio)
    if not width or not height:
        return None
    centre_x, centre_y = (float(value) for value in points.mean(axis=0))
    return box_around((centre_x, centre_y), width, height, size.warp)
