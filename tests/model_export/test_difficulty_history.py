"""The score history of a run: whose it is, what is not known, and that a resume leaves no trace in it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from model_export.difficulty_history import HISTORY_FOLDER, empty_epoch, read_history, write_epoch
from model_export.errors import RunError
from model_export.training_step import BatchPart, StepRecord
from tests.model_export.recipes import small_recipe
from tests.model_export.runs import build_trainer, run_recipe


class PowerCutError(Exception):
    """Ends a run."""


def test_a_sample_is_known_by_its_place_in_the_list() -> None:
    """The step is replaced by one whose answer is the sample's index, which the history has at that place."""
    trainer = build_trainer(small_recipe())
    order = [index for batch in trainer.batches for _, index in batch]
    answers = iter(order)

    def step(parts: Sequence[BatchPart], *, weighted: bool) -> StepRecord:
        assert weighted
        of_samples = torch.tensor([float(next(answers)) for part in parts for _ in part.images_N3HW])
        return StepRecord(of_samples, of_samples / 100, 2 * of_samples, torch.zeros(()))

    trainer.step = step  # type: ignore[assignment]
    trainer.run_epoch(lambda _epoch, _done, _total: None)
    difficulty, loss, error, _ = trainer.history_4S
    assert order != sorted(order)
    assert loss.tolist() == list(range(24))
    assert torch.allclose(difficulty, loss / 100)
    assert torch.equal(error, 2 * loss)


def test_what_an_epoch_left_out_is_not_a_number(tmp_path: Path) -> None:
    """Of 27 samples in batches of eight, three are left out, others in each epoch."""
    run = run_recipe(small_recipe(data={"train_count": 27}), tmp_path / "run")
    history = read_history(run.path, 2)
    assert history.epochs_E.tolist() == [0, 1]
    for values in history[1:]:
        assert values.shape == (2, 27)
        assert np.isnan(values).sum(axis=1).tolist() == [3, 3]
    records = run.read_metrics()
    for column, key in ((history.difficulty_ES, "difficulty_mean"), (history.base_loss_ES, "base_loss")):
        assert np.nanmean(column, axis=1) == pytest.approx([record[key] for record in records], rel=1e-5)
    assert not list((run.path / HISTORY_FOLDER).glob("*.partial"))


def test_a_run_cut_in_the_middle_of_an_epoch_has_the_same_history(tmp_path: Path) -> None:
    recipe = small_recipe()
    whole = run_recipe(recipe, tmp_path / "whole")

    def stop(epoch: int, done: int, _total: int) -> None:
        if (epoch, done) == (1, 2):
            raise PowerCutError

    with pytest.raises(PowerCutError):
        run_recipe(recipe, tmp_path / "cut", step_done=stop, checkpoint_seconds=0)
    cut = run_recipe(recipe, tmp_path / "cut", resume=True)
    uninterrupted, resumed = (np.stack(read_history(run.path, 2)[1:]) for run in (whole, cut))
    assert np.array_equal(uninterrupted, resumed)


def test_missing_keypoints_are_those_of_the_crop(tmp_path: Path) -> None:
    """A crop that shows a small part of the face misses most keypoints; one of all of it, none."""
    near, far = (
        run_recipe(
            small_recipe(augmentation={"scale": [scale, scale], "shift": 0.0, "wide_share": 0.0}), tmp_path / str(scale)
        )
        for scale in (0.3, 1.5)
    )
    assert np.nanmean(read_history(near.path, 1).missing_keypoints_ES) > 1
    assert np.nanmax(read_history(far.path, 1).missing_keypoints_ES) == 0


def test_an_epoch_that_is_not_there_or_broken_is_named(tmp_path: Path) -> None:
    write_epoch(tmp_path, 0, empty_epoch(3, torch.device("cpu")))
    assert np.isnan(read_history(tmp_path, 1).difficulty_ES).all()
    with pytest.raises(RunError, match=r"0001\.npz is no epoch's score history: .*No such file"):
        read_history(tmp_path, 2)
    (tmp_path / HISTORY_FOLDER / "0001.npz").write_bytes(b"half")
    with pytest.raises(RunError, match=r"0001\.npz is no epoch's score history"):
        read_history(tmp_path, 2)
