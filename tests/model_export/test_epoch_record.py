"""What is written down of an epoch: difficulty and loss are correlated where the one weighs the other, in a batch."""

import numpy as np
import pytest
import torch

from model_export.epoch_record import EpochProgress, EpochRecord, step_moments
from model_export.training_step import StepRecord


def record_of(*steps: tuple[list[float], list[float]]) -> EpochRecord:
    """An epoch of steps, each the losses and the difficulties of its samples."""
    progress = EpochProgress()
    for loss, difficulty in steps:
        losses, scores = torch.tensor(loss), torch.tensor(difficulty)
        progress.add(step_moments(StepRecord(losses, scores, torch.zeros_like(losses), torch.tensor(0.5))), 1e-3)
    return progress.record()


def test_a_trend_from_step_to_step_is_no_correlation_within_batches() -> None:
    """Within each batch the harder sample has the larger loss; over the epoch losses fall while difficulties rise."""
    steps = ([9.0, 10.0], [0.1, 0.2]), ([5.0, 6.0], [0.5, 0.6]), ([1.0, 2.0], [0.8, 0.9])
    record = record_of(*steps)
    losses, scores = (np.concatenate(values) for values in zip(*steps, strict=True))
    assert np.corrcoef(losses, scores)[0, 1] < -0.9
    assert record["difficulty_loss_correlation"] == pytest.approx(1.0)
    assert record["base_loss"] == pytest.approx(losses.mean())
    assert record["difficulty_mean"] == pytest.approx(scores.mean())
    assert record["difficulty_spread"] == pytest.approx(scores.std())
    assert record["critic_objective"] == 0.5


def test_the_correlation_is_that_of_the_samples_centred_in_their_batch() -> None:
    random = np.random.default_rng(0)
    losses, scores = random.normal(size=(7, 16)) + 3 * np.arange(7)[:, None], random.uniform(size=(7, 16))
    record = record_of(*((loss.tolist(), score.tolist()) for loss, score in zip(losses, scores, strict=True)))
    centred = [(values - values.mean(axis=1, keepdims=True)).ravel() for values in (losses, scores)]
    assert record["difficulty_loss_correlation"] == pytest.approx(np.corrcoef(*centred)[0, 1], abs=1e-6)


def test_difficulties_that_do_not_differ_within_batches_correlate_with_nothing() -> None:
    assert record_of(([1.0, 2.0, 4.0], [0.3] * 3), ([3.0, 4.0, 5.0], [0.1] * 3))["difficulty_loss_correlation"] == 0
