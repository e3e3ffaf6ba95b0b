"""Samples to crops: the torch data sets for training and validation, and the order of an epoch."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from model_export.augmentation import change_pixels, random_crop_transform, swap_flip_pairs
from model_export.augmentation_sections import Augmentation
from model_export.classical_augmentation import classical_crop_transform
from model_export.data.keypoint_sample import KeypointSample
from model_export.recipe import Input
from service.contract.crop_transform import CropTransform, ImageHW3
from service.contract.keypoint_codec import KeypointCodec

EpochAndIndex = tuple[int, int]


class CropSample(TypedDict):
    """One crop: uint8 (H, W, 3) RGB, points float32 (K, 2) in crop pixels, visible bool (K,), index in the set.

    The loader stacks them: each value then has a leading batch dimension.
    """

    crop: torch.Tensor
    points_in_crop: torch.Tensor
    visible: torch.Tensor
    index: torch.Tensor


class TrainingCrops(Dataset[CropSample]):
    """Randomly augmented crops, asked for by (epoch, index) so that a resumed run draws the very same ones.

    From epoch `mirrored_epochs` on no crop is mirrored. A keypoint that has no place in the codec's heatmap is not
    visible.
    """

    def __init__(
        self,
        samples: Sequence[KeypointSample],
        input_size: Input,
        codec: KeypointCodec,
        augmentation: Augmentation,
        flip_pairs: Sequence[tuple[int, int]],
        seed: int,
        mirrored_epochs: int,
    ):
        self.samples, self.input, self.flip_pairs, self.seed = samples, input_size, flip_pairs, seed
        self.codec = codec
        self.augmentation, self.mirrored_epochs = augmentation, mirrored_epochs
        self.unmirrored = augmentation.model_copy(update={"flip_share": 0.0})

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: EpochAndIndex) -> CropSample:
        epoch, index = key
        sample = self.samples[index]
        random = np.random.default_rng((self.seed, epoch, index))
        augmentation = self.augmentation if epoch < self.mirrored_epochs else self.unmirrored
        crop, transform = _draw_crop(sample, self.input, augmentation, random)
        points, visible = transform.to_crop(sample.points_in_image), sample.visible
        if np.linalg.det(transform.matrix[:, :2]) < 0:
            points, visible = swap_flip_pairs(points, self.flip_pairs), swap_flip_pairs(visible, self.flip_pairs)
        return _crop_sample(crop, points, visible & self.codec.can_encode(points), index)


def _draw_crop(
    sample: KeypointSample, size: Input, augmentation: Augmentation, random: np.random.Generator
) -> tuple[ImageHW3, CropTransform]:
    image = sample.read_image()
    if augmentation.name == "classical":
        transform = classical_crop_transform(sample, size, augmentation, random)
        return transform.extract(image), transform
    transform = random_crop_transform(image, sample.box, size, augmentation, random)
    return change_pixels(transform.extract(image), augmentation, random), transform


class ValidationCrops(Dataset[CropSample]):
    """Unchanged crops around the box of the labels, as the service cuts them."""

    def __init__(self, samples: Sequence[KeypointSample], input_size: Input):
        self.samples, self.input = samples, input_size

    def __len__(self) -> int:
        return len(self.samples)

    def transform(self, index: int) -> CropTransform:
        """The map from a sample's picture to its crop."""
        return self.input.crop_transform(self.samples[index].box)

    def __getitem__(self, index: int) -> CropSample:
        sample, transform = self.samples[index], self.transform(index)
        points = transform.to_crop(sample.points_in_image)
        return _crop_sample(transform.extract(sample.read_image()), points, sample.visible, index)


def _crop_sample(crop: ImageHW3, points: NDArray[np.float64], visible: NDArray[np.bool_], index: int) -> CropSample:
    return CropSample(
        crop=torch.from_numpy(crop),
        points_in_crop=torch.from_numpy(points.astype(np.float32)),
        visible=torch.from_numpy(visible.copy()),
        index=torch.tensor(index),
    )
