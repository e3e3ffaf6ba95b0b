"""Whatever the devices and parts, a step takes the same samples, each once."""

import pytest

from model_export.data.epoch_batches import EpochBatches
from model_export.errors import DataError, RecipeError


def epoch_of(count: int, batch_size: int, *, devices: int, parts: int, first_step: int = 0) -> list[list[int]]:
    """The indices of each step, device after device and part after part."""
    shares = []
    for rank in range(devices):
        batches = EpochBatches(count, batch_size, seed=3, rank=rank, devices=devices, parts=parts)
        batches.epoch, batches.first_step = 5, first_step
        pieces = list(batches)
        assert len(pieces) == len(batches)
        assert {epoch for piece in pieces for epoch, _ in piece} <= {5}
        shares.append([[index for _, index in piece] for piece in pieces])
    steps = len(shares[0]) // parts
    return [
        [index for share in shares for piece in share[step * parts : (step + 1) * parts] for index in piece]
        for step in range(steps)
    ]


@pytest.mark.parametrize(("devices", "parts"), [(1, 4), (2, 1), (2, 2), (4, 1)])
def test_the_union_of_the_shares_is_the_batch_of_a_single_device(devices: int, parts: int) -> None:
    whole = epoch_of(30, 8, devices=1, parts=1)
    assert epoch_of(30, 8, devices=devices, parts=parts) == whole
    assert [len(step) for step in whole] == [8, 8, 8]
    assert len({index for step in whole for index in step}) == 24


def test_every_epoch_visits_all_samples_in_an_order_of_its_own() -> None:
    batches = EpochBatches(50, 10, seed=1)
    orders = []
    for batches.epoch in range(2):
        orders.append([index for batch in batches for _, index in batch])
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(50))
    assert orders[0] != orders[1]


def test_an_epoch_goes_on_where_it_was_left() -> None:
    assert epoch_of(30, 8, devices=2, parts=2, first_step=2) == epoch_of(30, 8, devices=2, parts=2)[2:]
    assert epoch_of(30, 8, devices=2, parts=2, first_step=3) == []


def test_a_set_smaller_than_a_batch_is_one_batch_of_equal_shares() -> None:
    assert [len(step) for step in epoch_of(7, 8, devices=2, parts=1)] == [6]
    with pytest.raises(DataError, match=r"3 training samples in batches of 8: too few for 2 devices .*accumulation 2"):
        EpochBatches(3, 8, seed=0, devices=2, parts=2)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"batch_size is 8, which 3 devices with optimisation\.accumulation 1 do not"):
        EpochBatches(30, 8, seed=0, devices=3)
