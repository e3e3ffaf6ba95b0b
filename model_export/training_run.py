"""A run from its start or its checkpoint to its last epoch."""

import math
import time
from collections.abc import Callable, Sequence

from lightning_fabric import Fabric

from model_export.checkpoint_reading import Weights
from model_export.data.keypoint_sample import KeypointSample
from model_export.devices import describe_devices
from model_export.difficulty_history import write_epoch
from model_export.epoch_record import EpochRecord
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder
from model_export.trainer import StepDone, Trainer


def train(
    fabric: Fabric,
    recipe: Recipe,
    run: RunFolder,
    training: Sequence[KeypointSample],
    validation: Sequence[KeypointSample],
    *,
    resume: bool,
    command: str,
    initial_weights: Weights | None = None,
    step_done: StepDone,
    epoch_done: Callable[[EpochRecord], None],
    checkpoint_seconds: float = math.inf,
) -> None:
    """Train a recipe to its last epoch. The first process writes; the others compute.

    Args:
        command: how the run was started, for its record.
        initial_weights: entries that the network starts from instead of random ones.
        checkpoint_seconds: a checkpoint is written after each epoch, and within one whenever so much time has passed.
            When it is written changes nothing about the weights.
        step_done: called after each step with the epoch, its steps so far and all of them.
        epoch_done: called with the record of each epoch.

    Raises:
        RunError: the checkpoint to resume from cannot be read, or the loss is no longer finite.
    """
    trainer = Trainer(fabric, recipe, training, validation, initial_weights)
    if resume:
        trainer.restore(run.load_checkpoint())
    if fabric.is_global_zero:
        run.record_versions(trainer.epoch, command, describe_devices(fabric))
    written = time.monotonic()

    def checkpoint_when_due(epoch: int, done: int, total: int) -> None:
        nonlocal written
        if fabric.is_global_zero and time.monotonic() - written >= checkpoint_seconds:
            trainer.progress.check(epoch)  # nobody resumes from weights that are no numbers
            run.save_checkpoint(trainer.state())
            written = time.monotonic()
        step_done(epoch, done, total)

    while trainer.epoch < recipe.optimisation.epochs:
        record = trainer.run_epoch(checkpoint_when_due)
        if fabric.is_global_zero:
            write_epoch(run.path, record["epoch"], trainer.history_4S)
            run.append_metrics(record)
            run.save_checkpoint(trainer.state())
            written = time.monotonic()
            epoch_done(record)
