"""Intervals: hand-computed, of known width, paired, and as often right as they say."""

import numpy as np
import pytest

from model_export.comparison.intervals import (
    FloatArray,
    RunSums,
    bootstrap_seeds,
    bootstrap_seeds_and_samples,
    paired_t,
)


def sums(values_RS: FloatArray) -> RunSums:
    return RunSums(values_RS, np.ones_like(values_RS))


def test_paired_t_is_that_of_the_tables() -> None:
    """Mean 2, standard deviation 1, t(2; 0.975) = 4.3027: 2 +- 4.3027 / sqrt(3)."""
    assert paired_t(np.array([1.0, 2.0, 3.0])) == pytest.approx((-0.4841, 4.4841), abs=1e-4)


def test_paired_t_covers_a_true_difference_in_95_of_100_cases() -> None:
    random = np.random.default_rng(5)
    intervals = [paired_t(random.normal(0.3, 1.0, 5)) for _ in range(4000)]
    covered = np.mean([low <= 0.3 <= high for low, high in intervals])
    assert covered == pytest.approx(0.95, abs=0.012)  # measured 0.952


def test_a_bootstrap_over_three_seeds_never_leaves_their_range_and_covers_too_little() -> None:
    """What the report says of few seeds."""
    random = np.random.default_rng(6)
    differences = random.normal(0.0, 1.0, (300, 3))
    intervals = [bootstrap_seeds(of_seeds, random) for of_seeds in differences]
    for of_seeds, (low, high) in zip(differences, intervals, strict=True):
        assert of_seeds.min() - 1e-9 <= low <= high <= of_seeds.max() + 1e-9
    covered = np.mean([low <= 0 <= high for low, high in intervals])
    assert 0.6 < covered < 0.85  # measured 0.74


def test_samples_that_all_seeds_share_are_not_counted_twice() -> None:
    """Four seeds with the same values on the same 400 samples know no more than one; on samples of their own, they do.

    The mean of 400 values of deviation one has an interval of +- 1.96 / 20.
    """
    random = np.random.default_rng(7)
    first = np.zeros((4, 400))
    values = random.normal(0, 1, 400)
    shared = np.tile(values / values.std(), (4, 1))
    low, high = bootstrap_seeds_and_samples(sums(first), sums(shared), random, shared_samples=True)
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.1)
    low, high = bootstrap_seeds_and_samples(sums(first), sums(shared), random, shared_samples=False)
    assert high - low == pytest.approx(2 * 1.96 / 40, rel=0.1)


def test_both_arms_get_the_same_samples() -> None:
    """Samples of very different size, each better by 0.5: paired, nothing is left to chance."""
    random = np.random.default_rng(8)
    first = random.normal(0, 100, (3, 50))
    interval = bootstrap_seeds_and_samples(sums(first), sums(first + 0.5), random, shared_samples=True)
    assert interval == pytest.approx((0.5, 0.5), abs=1e-9)


def test_samples_weigh_by_their_denominators() -> None:
    """One sample holds nine of ten labels: the ratio of sums is 0.9, where the mean of ratios were 0.5."""
    first = RunSums(np.zeros((2, 2)), np.array([[9.0, 1.0], [9.0, 1.0]]))
    other = RunSums(np.array([[9.0, 0.0], [9.0, 0.0]]), first.denominators_RS)
    low, high = bootstrap_seeds_and_samples(first, other, np.random.default_rng(9), shared_samples=True)
    assert (low, high) == (0.0, 1.0)  # either sample twice
