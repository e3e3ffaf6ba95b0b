"""The order of an epoch, cut into the batches of one device."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from model_export.data.dataset import EpochAndIndex
from model_export.errors import DataError, RecipeError


class EpochBatches(Sampler[list[EpochAndIndex]]):
    """A new order of the whole set for every epoch, drawn from seed and epoch alone, as this device's batches.

    A step takes the next `batch_size` samples of the order, whatever the number of devices: each device takes its share
    of them, cut into `parts` that go through the network one after the other. So runs on one and on several devices see
    the same samples in the same steps. The last incomplete batch of an epoch is left out; a set smaller than one batch
    makes a single smaller one.

    Set `epoch` and `first_step` before iterating.
    """

    def __init__(self, count: int, batch_size: int, seed: int, *, rank: int = 0, devices: int = 1, parts: int = 1):
        check_shares(batch_size, devices, parts)
        pieces = devices * parts
        self.part_size = min(batch_size, count) // pieces
        if not self.part_size:
            raise DataError(
                f"{count} training samples in batches of {batch_size}: too few for {devices} devices with "
                f"optimisation.accumulation {parts}"
            )
        self.count, self.seed, self.parts = count, seed, parts
        self.rank, self.batch_size = rank, self.part_size * pieces
        self.epoch, self.first_step = 0, 0

    @property
    def steps_per_epoch(self) -> int:
        """Complete batches in the set."""
        return self.count // self.batch_size

    def __len__(self) -> int:
        return (self.steps_per_epoch - self.first_step) * self.parts

    def __iter__(self) -> Iterator[list[EpochAndIndex]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
        for step in range(self.first_step, self.steps_per_epoch):
            for part in range(self.parts):
                start = step * self.batch_size + (self.rank * self.parts + part) * self.part_size
                yield [(self.epoch, int(index)) for index in order[start : start + self.part_size]]


def check_shares(batch_size: int, devices: int, parts: int) -> None:
    """Refuse a batch that cannot be cut into equal parts.

    Raises:
        RecipeError: saying which numbers do not go together.
    """
    if batch_size % (devices * parts):
        raise RecipeError(
            f"optimisation.batch_size is {batch_size}, which {devices} devices with optimisation.accumulation "
            f"{parts} do not divide"
        )
