"""Samples to crops: the torch data sets for training and validation, and the order of an epoch."""

from collections.abc import Iterator, Sequence
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from model_export.augmentation import change_pixels, random_crop_transform, swap_flip_pairs
from model_export.data.keypoint_sample import KeypointSample
from model_export.recipe import Augmentation, Input
from service.contract.crop_transform import CropTransform, ImageHW3

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

    From epoch `mirrored_epochs` on no crop is mirrored.
    """

    def __init__(
        self,
        samples: Sequence[KeypointSample],
        input_size: Input,
        augmentation: Augmentation,
        flip_pairs: Sequence[tuple[int, int]],
        seed: int,
        mirrored_epochs: int,
    ):
        self.samples, self.input, self.flip_pairs, self.seed = samples, input_size, flip_pairs, seed
        self.augmentation, self.mirrored_epochs = augmentation, mirrored_epochs
        self.unmirrored = augmentation.model_copy(update={"flip_share": 0.0})

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: EpochAndIndex) -> CropSample:
        epoch, index = key
        sample = self.samples[index]
        random = np.random.default_rng((self.seed, epoch, index))
        image, size = sample.read_image(), self.input
        augmentation = self.augmentation if epoch < self.mirrored_epochs else self.unmirrored
        transform = random_crop_transform(
            image, sample.box, size.width, size.height, size.padding, augmentation, random
        )
        points, visible = transform.to_crop(sample.points_in_image), sample.visible
        if np.linalg.det(transform.matrix[:, :2]) < 0:
            points, visible = swap_flip_pairs(points, self.flip_pairs), swap_flip_pairs(visible, self.flip_pairs)
        crop = change_pixels(transform.extract(image), augmentation, random)
        # A keypoint that the crop cuts off has no place in the heatmap.
        inside = ((points > -0.5) & (points < np.array([size.width, size.height]) - 0.5)).all(axis=1)
        return _crop_sample(crop, points, visible & inside, index)


class ValidationCrops(Dataset[CropSample]):
    """Unchanged crops around the box of the labels, as the service cuts them."""

    def __init__(self, samples: Sequence[KeypointSample], input_size: Input):
        self.samples, self.input = samples, input_size

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> CropSample:
        sample = self.samples[index]
        transform = CropTransform.around(sample.box, self.input.width, self.input.height, self.input.padding)
        points = transform.to_crop(sample.points_in_image)
        return _crop_sample(transform.extract(sample.read_image()), points, sample.visible, index)


def _crop_sample(crop: ImageHW3, points: NDArray[np.float64], visible: NDArray[np.bool_], index: int) -> CropSample:
    return CropSample(
        crop=torch.from_numpy(crop),
        points_in_crop=torch.from_numpy(points.astype(np.float32)),
        visible=torch.from_numpy(visible.copy()),
        index=torch.tensor(index),
    )


class EpochOrder(Sampler[EpochAndIndex]):
    """A new order of the whole set for every epoch, drawn from seed and epoch alone; set `epoch` first."""

    def __init__(self, count: int, seed: int):
        self.count, self.seed, self.epoch = count, seed, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[EpochAndIndex]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
        return iter([(self.epoch, int(index)) for index in order])
