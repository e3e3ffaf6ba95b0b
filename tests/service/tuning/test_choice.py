"""What is chosen where every time is known."""

from collections.abc import Callable

import pytest

from service.tuning.choice import Arrangement, Candidate, Load, Tuning, arrangements, decode_threads, tables, tune

SIZES = (1, 2, 4, 8, 16, 32, 64)


def launch_bound(arrangement: Arrangement, size: int) -> float:
    """A pass takes 8 ms and 1 ms for each crop, on any number of threads: large batches, many passes."""
    return 0.008 + 0.001 * size


def by_rate(
    rate: Callable[[Candidate], float], p99: Callable[[Candidate], float] = lambda _: 0.05
) -> Callable[..., Load]:
    return lambda candidate: Load(rate(candidate), p99(candidate))


def run(measure_load: Callable[..., Load], p99_seconds: float | None = None) -> Tuning:
    return tune(2, SIZES, 16, launch_bound, measure_load, p99_seconds)


def test_what_is_tried_begins_with_the_default() -> None:
    assert arrangements(8) == [(8, 1), (4, 2), (2, 4), (1, 8)]
    assert arrangements(6) == [(6, 1), (4, 1), (2, 3), (1, 6)]
    assert arrangements(1) == [(1, 1)]
    assert decode_threads(8)[0] == 8
    assert sorted(decode_threads(8)) == [4, 8, 16]
    assert sorted(decode_threads(1)) == [1, 2]


def test_the_default_stays_where_nothing_is_better_than_noise() -> None:
    tuning = run(by_rate(lambda candidate: 102.0 if candidate.decode_threads == 4 else 100.0))
    assert tuning.chosen == Candidate(Arrangement(2, 1), 16, 2)
    assert len(tuning.loads) == 7


def test_the_default_stays_where_others_are_near_the_best_but_not_better_than_it_by_more_than_noise() -> None:
    default, fastest = Candidate(Arrangement(2, 1), 16, 2), Candidate(Arrangement(1, 2), 64, 4)

    def rate(candidate: Candidate) -> float:
        return {default: 100.0, fastest: 104.0}.get(candidate, 101.5)

    # Those of 101.5 are within 3 % of the fastest, and no more than 1.5 % faster than the default.
    tuning = run(by_rate(rate))
    assert tuning.chosen == fastest
    assert tuning.reasons["decode_threads"] == "104.0 images/s, where others did 100.0 to 101.5 and the defaults 100.0"
    tuning = run(by_rate(lambda candidate: min(102.9, rate(candidate))))
    assert tuning.chosen == default
    assert tuning.reasons["decode_threads"] == (
        "100.0 images/s, where others did 101.5 to 102.9; the default, kept unless another is more than 3 % faster"
    )


def test_the_fastest_under_load_is_taken_with_its_numbers() -> None:
    best = Candidate(Arrangement(1, 2), 64, 4)
    tuning = run(by_rate(lambda candidate: 150.0 if candidate == best else 100.0))
    assert tuning.chosen == best
    assert tuning.reasons["batches_at_once"] == "150.0 images/s, where others did 100.0 to 100.0 and the defaults 100.0"
    # 64 crops in 8 + 64 ms.
    assert tuning.reasons["max_batch"] == "889 crops/s by itself, the best size (64) 889"


def test_the_smallest_batch_that_is_as_good_is_tried() -> None:
    def saturated(arrangement: Arrangement, size: int) -> float:
        return 0.010 if size <= 4 else 0.010 * size / 4

    tuning = tune(2, SIZES, 16, saturated, by_rate(lambda candidate: 100.0 + (candidate.max_batch == 4) * 10))
    assert tuning.chosen == Candidate(Arrangement(2, 1), 4, 2)


def test_larger_batches_are_not_measured_once_they_lose() -> None:
    asked: list[int] = []

    def worse(arrangement: Arrangement, size: int) -> float:
        asked.append(size)
        return 0.001 * size if size <= 2 else 0.002 * size

    tune(1, SIZES, 16, worse, by_rate(lambda _: 1.0))
    assert asked == [1, 2, 4]


@pytest.mark.parametrize(("p99_seconds", "tried"), [(None, {1, 16}), (1.0, {1})])
def test_a_default_that_was_not_measured_is_not_tried_under_a_limit(p99_seconds: float | None, tried: set[int]) -> None:
    tuning = tune(1, SIZES, 16, lambda _, size: 0.001 * size**2, by_rate(lambda _: 1.0), p99_seconds)
    assert list(tuning.passes[0].seconds) == [1, 2]
    assert {candidate.max_batch for candidate in tuning.loads} == tried


def test_a_limit_bounds_the_batch_and_what_may_be_chosen() -> None:
    # Three passes of 8 crops take 48 ms, of 16 crops 72 ms.
    slow = by_rate(lambda candidate: 10.0 * candidate.decode_threads, lambda one: 0.02 * one.decode_threads)
    tuning = run(slow, p99_seconds=0.05)
    assert {candidate.max_batch for candidate in tuning.loads} == {8}
    assert tuning.chosen == Candidate(Arrangement(2, 1), 8, 2)
    assert tuning.reasons["batches_at_once"].endswith("p99 40.0 ms, within 50 ms")


def test_a_limit_that_nothing_keeps_is_said() -> None:
    tuning = run(by_rate(lambda _: 10.0, lambda one: 0.02 * one.decode_threads), p99_seconds=0.001)
    assert tuning.chosen == Candidate(Arrangement(2, 1), 1, 1)
    assert tuning.reasons["decode_threads"].endswith("p99 20.0 ms, the nearest to, but beyond 1 ms")


@pytest.mark.parametrize(("at_once", "batch", "threads", "in_flight"), [(2, 16, 2, 66), (1, 1, 4, 6)])
def test_every_part_has_work(at_once: int, batch: int, threads: int, in_flight: int) -> None:
    assert Candidate(Arrangement(at_once, 1), batch, threads).in_flight == in_flight


def test_the_tables_show_what_was_measured() -> None:
    lines = list(tables(run(by_rate(lambda _: 100.0))))
    assert "| 2 x 1 | 9.0 ms, 222/s |" in lines[2]
    assert lines[2].endswith("| 72.0 ms, 1778/s |")
    assert "| 2 x 1 | 16 | 2 | 66 | 100.0 | 50.0 | chosen |" in lines
    assert sum("chosen" in line for line in lines) == 1
