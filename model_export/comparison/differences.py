"""The table of a comparison: each arm's figures over the seeds, and their difference to the first arm's."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from model_export.comparison.intervals import (
    FloatArray,
    Interval,
    RunSums,
    bootstrap_seeds,
    bootstrap_seeds_and_samples,
    paired_t,
)
from model_export.comparison.sample_sums import SampleSums
from model_export.metrics.figures import Figure


class MeasuredRun(NamedTuple):
    """One run of one arm.

    Attributes:
        figures: as measured, an arm's and another's in the same order.
        sums: of those figures that are ratios of sums over samples.
        split: a digest of the samples that were measured.
    """

    figures: Sequence[Figure]
    sums: Mapping[str, SampleSums]
    split: str


class Difference(NamedTuple):
    """Of an arm to the first one, paired by seed; each interval holds 95 %.

    Attributes:
        by_seed_R: for each seed.
        t_over_seeds: Student's.
        over_seeds: bootstrap.
        over_seeds_and_samples: bootstrap; None for a figure that is no ratio of sums over samples.
    """

    by_seed_R: tuple[float, ...]
    mean: float
    t_over_seeds: Interval
    over_seeds: Interval
    over_seeds_and_samples: Interval | None


class Row(NamedTuple):
    """One figure of one arm: its value for each seed, mean, standard deviation (R - 1), and difference."""

    arm: str
    figure: Figure
    values_R: tuple[float, ...]
    mean: float
    spread: float
    difference: Difference | None


def comparison_rows(arms: Mapping[str, Sequence[MeasuredRun]]) -> list[Row]:
    """A row for each figure and arm, the arms of one figure together; offsets, a diagnosis, are left out.

    Args:
        arms: the runs of each, over the same seeds in the same order, at least two; the first arm is compared with.
    """
    first = next(iter(arms.values()))
    rows = []
    for place, figure in enumerate(first[0].figures):
        if figure.signed:
            continue
        baseline = _values(first, place)
        for name, runs in arms.items():
            values = _values(runs, place)
            difference = None if runs is first else _difference(figure.metric, first, runs, values - baseline)
            rows.append(Row(name, figure, tuple(values), float(values.mean()), float(values.std(ddof=1)), difference))
    return rows


def _values(runs: Sequence[MeasuredRun], place: int) -> FloatArray:
    return np.array([run.figures[place].value for run in runs])


def _difference(
    metric: str, first: Sequence[MeasuredRun], other: Sequence[MeasuredRun], by_seed_R: FloatArray
) -> Difference:
    # Its own generator: an interval does not change when an arm or a figure is added.
    random = np.random.default_rng(0)
    return Difference(
        by_seed_R=tuple(by_seed_R),
        mean=float(by_seed_R.mean()),
        t_over_seeds=paired_t(by_seed_R),
        over_seeds=bootstrap_seeds(by_seed_R, random),
        over_seeds_and_samples=_over_samples(metric, first, other, random),
    )


def _over_samples(
    metric: str, first: Sequence[MeasuredRun], other: Sequence[MeasuredRun], random: np.random.Generator
) -> Interval | None:
    if any(metric not in run.sums for run in (*first, *other)):
        return None
    shared = len({run.split for run in first}) == 1
    return bootstrap_seeds_and_samples(_stacked(metric, first), _stacked(metric, other), random, shared_samples=shared)


def _stacked(metric: str, runs: Sequence[MeasuredRun]) -> RunSums:
    numerators, denominators = zip(*(run.sums[metric] for run in runs), strict=True)
    return RunSums(np.stack(numerators), np.stack(denominators))
