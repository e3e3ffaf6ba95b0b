"""Which batch is formed of what waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batch_sizes import BatchSizes, Choice, powers_of_two


@pytest.mark.parametrize(
    ("max_batch", "sizes"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (16, (1, 2, 4, 8, 16)), (24, (1, 2, 4, 8, 16, 24))]
)
def test_sizes_are_powers_of_two_and_the_largest(max_batch: int, sizes: tuple[int, ...]) -> None:
    assert powers_of_two(max_batch) == sizes


def test_without_measurements_a_batch_is_padded_up() -> None:
    assert [BatchSizes((1, 2, 4)).choose(waiting) for waiting in range(1, 7)] == [
        (1, 1), (2, 2), (3, 4), (4, 4), (4, 4), (4, 4),
    ]  # fmt: skip


def test_where_time_grows_with_the_size_no_place_stays_empty() -> None:
    processor = BatchSizes((1, 2, 4, 8), {1: 1, 2: 2, 4: 4, 8: 8})
    assert [processor.choose(waiting) for waiting in (3, 5, 7)] == [(2, 2), (4, 4), (4, 4)]
    assert processor.seconds_for(7) == 7


def test_where_a_batch_costs_as_much_as_one_item_it_is_padded() -> None:
    accelerator = BatchSizes((1, 2, 4, 8), dict.fromkeys((1, 2, 4, 8), 1.0))
    assert [accelerator.choose(waiting) for waiting in (3, 5, 7)] == [(3, 4), (5, 8), (7, 8)]
    assert accelerator.seconds_for(7) == 1
    assert accelerator.seconds_for(17) == 3


def test_new_measurements_count_a_fifth() -> None:
    sizes = BatchSizes((1,), {1: 1.0})
    sizes.measured(1, 2.0)
    assert sizes.seconds_for(1) == pytest.approx(1.2)


@given(
    max_batch=st.integers(1, 40),
    waiting=st.integers(1, 100),
    seconds=st.lists(st.floats(0, 10), min_size=7, max_size=7),
)
def test_a_choice_takes_something_that_fits(max_batch: int, waiting: int, seconds: list[float]) -> None:
    sizes = powers_of_two(max_batch)
    choice = BatchSizes(sizes, dict(zip(sizes, seconds, strict=False))).choose(waiting)
    assert isinstance(choice, Choice)
    assert 1 <= choice.items <= min(waiting, choice.padded)
    assert choice.padded in sizes
