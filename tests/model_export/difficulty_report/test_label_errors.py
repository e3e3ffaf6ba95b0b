"""Finding wrong labels: counts by hand, and labels that are made wrong only where they are said to be."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.data.label_corruption import corrupt_labels
from model_export.data.splits import corrupted_samples, training_samples
from model_export.data.synthetic import draw_samples
from model_export.difficulty_history import DifficultyHistory
from model_export.difficulty_report.label_errors import find_wrong_labels
from model_export.difficulty_report.sample_means import means_of_thirds, rank_correlation
from model_export.errors import RunError
from tests.model_export.recipes import small_recipe

PAIRS = [(0, 1), (3, 4)]


def test_the_hardest_tenth_is_looked_at() -> None:
    """Of 20 samples the hardest two hold one of two wrong labels; it ranks above 18 right ones, the other above 9."""
    hardness = np.arange(20.0)
    wrong = np.isin(np.arange(20), (19, 9))
    found = find_wrong_labels(hardness, wrong)
    assert found[:3] == (2, 1, 2)
    assert found.area == pytest.approx((18 + 9) / (18 * 2))
    assert found.found_share == 0.5


def test_samples_that_were_never_seen_take_no_part_and_ties_count_half() -> None:
    hardness = np.array([1.0] * 10 + [np.nan] * 5)
    wrong = np.array([True] + [False] * 9 + [True] * 5)
    found = find_wrong_labels(hardness, wrong)
    assert (found.looked_at, found.wrong, found.area) == (1, 1, 0.5)


def test_a_share_of_the_labels_is_wrong_and_all_others_are_as_they_were() -> None:
    samples = draw_samples(40, seed=2)
    wrong, corrupted = corrupt_labels(samples, 0.2, PAIRS, seed=5)
    assert corrupted.sum() == 8
    exchanged = 0
    for before, after, is_wrong in zip(samples, wrong, corrupted, strict=True):
        moved = np.linalg.norm(before.points_in_image - after.points_in_image, axis=1)
        assert (moved > 0).any() == is_wrong
        if not is_wrong:
            assert after is before
        elif np.array_equal(after.points_in_image, before.points_in_image[[1, 0, 2, 4, 3]]):
            exchanged += 1
        else:
            side = np.ptp(before.points_in_image, axis=0).max()
            assert (moved > 0).sum() == 2  # three of ten of five, rounded
            assert ((moved[moved > 0] > 0.2 * side) & (moved[moved > 0] < 0.5 * side)).all()
    assert exchanged == 4
    again = corrupt_labels(samples, 0.2, PAIRS, seed=5)
    assert all(np.array_equal(a.points_in_image, b.points_in_image) for a, b in zip(wrong, again.samples, strict=True))
    assert not np.array_equal(corrupted, corrupt_labels(samples, 0.2, PAIRS, seed=6).corrupted_S)


def test_a_recipe_asks_for_wrong_labels_in_training_alone() -> None:
    recipe, clean = small_recipe(data={"corrupted_share": 0.25}), small_recipe()
    moved = [
        not np.array_equal(one.points_in_image, other.points_in_image)
        for one, other in zip(training_samples(recipe), training_samples(clean), strict=True)
    ]
    assert sum(moved) == 6
    assert corrupted_samples(recipe).tolist() == moved
    assert not corrupted_samples(clean).any()


def history(difficulty_ES: NDArray[np.float64]) -> DifficultyHistory:
    values = difficulty_ES.astype(np.float32)
    return DifficultyHistory(np.arange(len(values)), values, 2 * values, -values, 0 * values)


def test_means_of_thirds_leave_out_epochs_that_left_a_sample_out() -> None:
    difficulties = np.array([[0.1, 0.2], [0.3, np.nan], [0.5, 0.6], [0.7, 0.8], [0.9, np.nan], [1.0, np.nan]])
    thirds = means_of_thirds(history(difficulties))
    assert thirds["first"].difficulty_S == pytest.approx([0.2, 0.2])
    assert thirds["second"].base_loss_S == pytest.approx([1.2, 1.4])
    assert thirds["last"].difficulty_S == pytest.approx([0.95, np.nan], nan_ok=True)
    with pytest.raises(RunError, match="has 2 epochs: expected three at least"):
        means_of_thirds(history(difficulties[:2]))


def test_rank_correlation_is_of_ranks_and_of_known_values() -> None:
    first = np.array([1.0, 2.0, 3.0, np.nan])
    assert rank_correlation(first, np.array([1.0, 10.0, 1000.0, 0.0])) == pytest.approx(1)
    assert rank_correlation(first, np.array([3.0, 1.0, 2.0, 9.0])) == pytest.approx(-0.5)
    assert np.isnan(rank_correlation(first, np.ones(4)))
