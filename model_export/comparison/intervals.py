"""95 % intervals of the difference of two arms that were trained on the same seeds. R seeds, S samples, B resamples."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]
LEVEL = 0.95
RESAMPLES = 2000


class Interval(NamedTuple):
    """From low to high."""

    low: float
    high: float


class RunSums(NamedTuple):
    """`SampleSums` of an arm's runs, (R, S) each."""

    numerators_RS: FloatArray
    denominators_RS: FloatArray


def paired_t(differences_R: FloatArray) -> Interval:
    """Student's interval of the mean difference: mean +- t(R - 1) x sd / sqrt(R), R at least two.

    Exact where the differences are normal; it says what a new seed would do on the same samples.
    """
    count = len(differences_R)
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1) * differences_R.std(ddof=1) / count**0.5)
    mean = float(differences_R.mean())
    return Interval(mean - half, mean + half)


def bootstrap_seeds(differences_R: FloatArray, random: np.random.Generator) -> Interval:
    """Percentiles of the mean difference over seeds drawn with replacement, both arms' runs of a seed together.

    With few seeds too narrow: it never leaves the range of the differences, and its variance is (R - 1) / R of the
    unbiased one.
    """
    drawn_BR = random.integers(len(differences_R), size=(RESAMPLES, len(differences_R)))
    return _percentiles(differences_R[drawn_BR].mean(axis=1))


def bootstrap_seeds_and_samples(
    first: RunSums, other: RunSums, random: np.random.Generator, *, shared_samples: bool
) -> Interval:
    """Percentiles of the mean difference, other minus first, over seeds and samples drawn with replacement.

    Both arms get the same seeds and the same samples in every resample: pairs stay together.

    Args:
        first, other: of both arms, seeds and samples in the same order.
        random: draws.
        shared_samples: every seed was measured on the same samples, so a resample draws them once for all its seeds;
            else (drawn pictures, which depend on the seed) anew for each.
    """
    seeds, samples = first.numerators_RS.shape
    drawn_BR = random.integers(seeds, size=(RESAMPLES, seeds))
    difference_B = np.zeros(RESAMPLES)
    times_BS = _times_drawn(samples, random)
    for place in range(seeds):
        if place and not shared_samples:
            times_BS = _times_drawn(samples, random)
        drawn_B = drawn_BR[:, place]
        difference_B += _ratios(other, drawn_B, times_BS) - _ratios(first, drawn_B, times_BS)
    return _percentiles(difference_B[np.isfinite(difference_B)] / seeds)


def _times_drawn(samples: int, random: np.random.Generator) -> FloatArray:
    """How often each sample is drawn (B, S)."""
    return random.multinomial(samples, np.full(samples, 1 / samples), size=RESAMPLES).astype(np.float64)


def _ratios(sums: RunSums, drawn_B: NDArray[np.int64], times_BS: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):  # a resample may hold no sample with a label
        ratios_RB = (sums.numerators_RS @ times_BS.T) / (sums.denominators_RS @ times_BS.T)
    return np.asarray(ratios_RB[drawn_B, np.arange(len(drawn_B))])


def _percentiles(means_B: FloatArray) -> Interval:
    low, high = np.quantile(means_B, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))
