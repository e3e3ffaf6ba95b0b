"""The loop: repeatable, resumable to the bit, and the golden loss curve."""

import copy
from pathlib import Path

import pytest
import torch

from model_export.epoch_record import EpochRecord
from model_export.errors import RecipeError, RunError
from model_export.run_folder import RunFolder
from tests.model_export.recipes import small_recipe
from tests.model_export.runs import assert_equal_states, build_trainer, run_recipe, timeless_metrics

# Base loss, mean difficulty and validation NME of each epoch.
GOLDEN_CURVE = [(6.81572, 0.47448, 0.55452), (5.30541, 0.47420, 0.55392)]

EXPECTED_KEYS = {
    "epoch",
    "base_loss",
    "difficulty_mean",
    "difficulty_spread",
    "difficulty_loss_correlation",
    "critic_objective",
    "learning_rate",
    "steps",
    "seconds",
    "loader_share",
    "validation_NME",
    "validation_FR@0.1",
    "validation_AUC@0.1",
}


class PowerCutError(Exception):
    """Ends a run."""


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_run_ends_where_the_uninterrupted_one_does(tmp_path: Path, workers: int) -> None:
    recipe = small_recipe(optimisation={"loader_workers": workers})
    whole = run_recipe(recipe, tmp_path / "whole")

    def stop(record: EpochRecord) -> None:
        raise PowerCutError

    with pytest.raises(PowerCutError):
        run_recipe(recipe, tmp_path / "cut", epoch_done=stop)
    cut = RunFolder(tmp_path / "cut")
    assert cut.load_checkpoint()["epoch"] == 1
    cut.resume(recipe)
    run_recipe(recipe, cut.path, resume=True)

    assert_equal_states(whole.load_checkpoint(), cut.load_checkpoint())
    assert timeless_metrics(whole) == timeless_metrics(cut)
    assert [set(record) for record in cut.read_metrics()] == [EXPECTED_KEYS] * 2
    assert [start["epochs_done"] for start in cut.versions()] == [0, 1]
    assert [start["command"].endswith(" --resume") for start in cut.versions()] == [False, True]
    assert all(start.keys() >= {"commit", "torch", "python", "devices"} for start in cut.versions())


def test_the_vanilla_arm_has_no_critic_and_no_difficulty(tmp_path: Path) -> None:
    run = run_recipe(small_recipe().without_afl(), tmp_path / "run")
    assert run.load_checkpoint()["critic"] is None
    assert {(record["difficulty_mean"], record["difficulty_spread"]) for record in run.read_metrics()} == {(1.0, 0.0)}


def test_the_moving_average_is_of_weights_and_of_batch_norms_statistics() -> None:
    """By hand: the first step is taken as it is, each later one with a share of one minus the decay."""
    trainer = build_trainer(small_recipe(optimisation={"average_decay": 0.75}))
    states: list[dict[str, torch.Tensor]] = []
    trainer.run_epoch(
        lambda _epoch, _done, _total: states.append(copy.deepcopy(dict(trainer.network.module.state_dict())))
    )
    first, second, third = states
    averaged = {key.removeprefix("module."): value for key, value in trainer.averaged.state_dict().items()}
    statistics = [key for key in first if key.endswith("running_mean")]
    assert statistics
    for key in [*statistics, next(iter(first))]:
        expected = 0.75 * (0.75 * first[key] + 0.25 * second[key]) + 0.25 * third[key]
        assert torch.allclose(averaged[key], expected, atol=1e-6), key
        assert not torch.allclose(averaged[key], third[key], atol=1e-5), key


def test_settling_comes_last_at_its_own_constant_rate(tmp_path: Path) -> None:
    schedule = {"name": "one_cycle", "warm_up_share": 0.1, "settling_epochs": 2, "settling_learning_rate": 1.25e-4}
    run = run_recipe(small_recipe(optimisation={"epochs": 4, "schedule": schedule}), tmp_path / "run")
    rates = [record["learning_rate"] for record in run.read_metrics()]
    assert rates[0] > rates[1] > 0  # the cycle is over after two epochs
    assert rates[1] < 1e-6
    assert rates[2:] == [1.25e-4, 1.25e-4]


def test_the_golden_loss_curve(tmp_path: Path) -> None:
    """A change of the numbers is a change of the training: measure again and say why in the changelog."""
    run = run_recipe(small_recipe(), tmp_path / "run")
    curve = [(one["base_loss"], one["difficulty_mean"], one["validation_NME"]) for one in run.read_metrics()]
    # Measured on x86-64 with torch 2.13; other processors sum in another order.
    assert curve == [pytest.approx(pair, rel=2e-3) for pair in GOLDEN_CURVE]


def test_a_run_folder_is_never_overwritten_and_resumes_only_its_own_recipe(tmp_path: Path) -> None:
    recipe, run = small_recipe(), RunFolder(tmp_path / "run")
    with pytest.raises(RunError, match="holds no checkpoint to resume from"):
        run.resume(recipe)
    run_recipe(recipe, run.path)
    with pytest.raises(RunError, match="already holds a run"):
        run.start(recipe)
    with pytest.raises(RunError, match=r"recipe\.toml differs from the recipe given"):
        run.resume(recipe.without_afl())
    assert run.recipe() == recipe
    assert not list(run.path.glob("*.partial"))


@pytest.mark.parametrize(("text", "message"), [("{}", "expected a list of versions, found dict"), ("[", "cannot be r")])
def test_a_broken_record_of_versions_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "versions.json").write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=rf"versions\.json.* {message}"):
        RunFolder(tmp_path).versions()


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.checkpoint.write_bytes(b"half of a checkpoint")
    with pytest.raises(RunError, match=r"checkpoint .*last\.pt cannot be read"):
        run.load_checkpoint()


def test_a_network_that_is_not_there_or_takes_other_sizes_is_named(tmp_path: Path) -> None:
    for network, message in (
        ({"name": "gigantic"}, r"network\.name: expected one of compact, .*found 'gigantic'"),
        ({"depth": 3}, r"unknown key network\.depth: compact takes blocks, top_down_width, widths"),
        ({"blocks": [1]}, r"network\.blocks needs 3 numbers for 4 widths, has 1"),
    ):
        with pytest.raises(RecipeError, match=message):
            run_recipe(small_recipe(network=network), tmp_path / str(message))


@pytest.mark.parametrize("clip", [0.0, 5.0])
def test_a_diverged_run_ends_and_says_so(tmp_path: Path, clip: float) -> None:
    """The rate of the second epoch is beyond all measure; so are the weights after its first step."""
    schedule = {"name": "one_cycle", "warm_up_share": 0.1, "settling_epochs": 1, "settling_learning_rate": 1e30}
    recipe = small_recipe(optimisation={"schedule": schedule, "gradient_clip": clip})
    with pytest.raises(RunError, match=r"epoch 2: the loss is not finite within 2 steps; a lower .*learning_rate"):
        run_recipe(recipe, tmp_path / "run", checkpoint_seconds=0)
    assert [record["epoch"] for record in RunFolder(tmp_path / "run").read_metrics()] == [0]
