"""Runs for tests: a recipe trained in this process, and states compared to the last bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from model_export.data.splits import training_samples, validation_samples
from model_export.devices import build_fabric
from model_export.epoch_record import EpochRecord
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder
from model_export.trainer import StepDone, Trainer
from model_export.training_run import train


def build_trainer(recipe: Recipe) -> Trainer:
    """A trainer with the recipe's samples, in this process."""
    fabric = build_fabric(recipe.optimisation.precision)
    return Trainer(fabric, recipe, training_samples(recipe), validation_samples(recipe))


def run_recipe(
    recipe: Recipe,
    folder: Path,
    *,
    resume: bool = False,
    step_done: StepDone = lambda _epoch, _done, _total: None,
    epoch_done: Callable[[EpochRecord], None] = lambda _: None,
    checkpoint_seconds: float = float("inf"),
) -> RunFolder:
    """Train to the end, or until one of the callables raises."""
    run = RunFolder(folder)
    fabric = build_fabric(recipe.optimisation.precision)
    if not resume and fabric.is_global_zero:
        run.start(recipe)
    train(
        fabric,
        recipe,
        run,
        training_samples(recipe),
        validation_samples(recipe),
        resume=resume,
        command="focalpoint train a_test.toml" + " --resume" * resume,
        step_done=step_done,
        epoch_done=epoch_done,
        checkpoint_seconds=checkpoint_seconds,
    )
    return run


def assert_equal_states(first: Any, second: Any) -> None:
    """Nested containers of tensors and values, equal to the last bit; times aside, which no two runs share."""
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first.keys() - {"seconds", "waiting_seconds"}:
            assert_equal_states(first[key], second[key])
    elif isinstance(first, list | tuple):
        for one, other in zip(first, second, strict=True):
            assert_equal_states(one, other)
    else:
        assert first == second


def timeless_metrics(run: RunFolder) -> list[dict[str, Any]]:
    """The records of a run without their times."""
    return [
        {key: value for key, value in record.items() if key not in {"seconds", "loader_share"}}
        for record in run.read_metrics()
    ]
