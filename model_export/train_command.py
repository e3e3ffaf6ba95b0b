"""`focalpoint train`: wires recipe, data, run folder and training, and shows progress."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar, cast

import torch
from lightning_fabric import Fabric
from rich.console import Console

from model_export.base_losses import weighted_sum
from model_export.curves import draw_curves
from model_export.data.epoch_batches import check_shares
from model_export.data.splits import shared_pictures, training_samples, validation_samples
from model_export.devices import (
    check_devices,
    check_precision,
    describe_devices,
    fabric_on_devices,
)
from model_export.epoch_record import EpochRecord
from model_export.errors import RecipeError, TrainingInputError
from model_export.networks.map_size import map_size
from model_export.optimisation import Optimisation
from model_export.progress import training_progress
from model_export.published_weights import Match, match_initial_weights
from model_export.recipe import Recipe, load_recipe
from model_export.run_folder import RunFolder
from model_export.tensorboard_curves import tensorboard_writer
from model_export.trainer import build_recipe_network
from model_export.training_run import train

T = TypeVar("T")
_SECONDS_BETWEEN_CURVES = 10.0


def choose_recipe(
    recipe_path: Path, settings: Sequence[str], *, no_afl: bool, seed: int | None, devices: int
) -> Recipe:
    """The recipe of a file with what the command line changes, checked as far as that goes without data.

    Raises:
        RecipeError, RunError: it is not a recipe, so many devices cannot share its batch, or are not there.
    """
    changes = [*settings]
    if no_afl:
        changes.append("adversarial_focal.enabled=false")
    if seed is not None:
        changes.append(f"seed={seed}")
    recipe = load_recipe(recipe_path, changes)
    check_recipe(recipe)
    check_devices(devices)
    check_shares(recipe.optimisation.batch_size, devices, recipe.optimisation.accumulation)
    return recipe


def check_recipe(recipe: Recipe) -> None:
    """Refuse what cannot be trained, as far as that is known without data.

    Raises:
        RecipeError: network, codec and base losses do not go together, or this machine lacks the precision.
    """
    check_maps(recipe)
    weighted_sum(recipe.base_losses, recipe.codec.decoding)
    check_precision(recipe.optimisation.precision)


def check_maps(recipe: Recipe) -> None:
    """Compare the maps that the network answers with to the codec's.

    Raises:
        RecipeError: there is no such network, it does not take the input's size, or its stride is not the codec's.
    """
    network, size = recipe.network, recipe.input
    maps = map_size(network.name, len(recipe.keypoints.names), network.sizes, size.width, size.height)
    if maps.stride != recipe.codec.stride:
        raise RecipeError(
            f"codec.stride is {recipe.codec.stride}, but {network.name} answers with a cell for "
            f"every {maps.stride} pixels"
        )


def choose_run(recipe: Recipe, run_path: Path | None, *, resume: bool) -> RunFolder:
    """The folder of the run, checked before the pictures are read, which may take minutes.

    Raises:
        RunError: it cannot be started, or resumed, with this recipe.
    """
    run = RunFolder(run_path or Path("runs") / recipe.name)
    if resume:
        run.resume(recipe)
    else:
        run.check_unused()
    return run


def run_training(recipe: Recipe, run: RunFolder, *, resume: bool, command: str, checkpoint_seconds: float) -> None:
    """Train a recipe into a run folder, in this process or, each calling this, in those that torchrun started.

    Args:
        recipe, run: as chosen.
        resume: goes on where the run's checkpoint stands.
        command: how this was started, for the run's record.
        checkpoint_seconds: between checkpoints within an epoch.

    Raises:
        TrainingInputError: recipe, data or run folder cannot be used.
    """
    with fabric_on_devices(recipe.optimisation.precision) as fabric:
        _train_on(fabric, recipe, run, resume=resume, command=command, checkpoint_seconds=checkpoint_seconds)


def _train_on(
    fabric: Fabric, recipe: Recipe, run: RunFolder, *, resume: bool, command: str, checkpoint_seconds: float
) -> None:
    check_shares(recipe.optimisation.batch_size, fabric.world_size, recipe.optimisation.accumulation)
    # A run is started only once its data is known to be good.
    training, validation, initial = _read_once(
        fabric,
        lambda: (
            training_samples(recipe),
            validation_samples(recipe),
            None if resume else match_recipe_weights(recipe),
        ),
    )
    if not resume and fabric.is_global_zero:
        run.start(recipe)

    console = Console(highlight=False, markup=False, soft_wrap=True, quiet=not fabric.is_global_zero)
    console.print(f"{recipe.name}: {len(training)} training and {len(validation)} validation samples, run {run.path}")
    if shared := shared_pictures(training, validation):
        console.print(
            f"warning: {len(shared)} pictures both train and validate, such as {shared[0]}: what is measured on them "
            f"says nothing of new ones"
        )
    console.print(f"{describe_devices(fabric)}, {describe_batches(recipe.optimisation, fabric.world_size)}")
    if initial is not None:
        console.print(f"starts from {len(initial.weights)} entries of {recipe.network.initial_weights}")
        console.print(f"left as drawn or left out: {initial.describe_rest() or 'none'}")
    with (
        training_progress(console, recipe.optimisation.epochs) as progress,
        tensorboard_writer(run) if fabric.is_global_zero else nullcontext() as tensorboard,
    ):
        curves_drawn = -math.inf

        def epoch_done(record: EpochRecord) -> None:
            nonlocal curves_drawn
            progress.epoch_done(record)
            # Drawing takes a quarter of a second, which is much beside an epoch of one second.
            last = record["epoch"] + 1 == recipe.optimisation.epochs
            if last or time.monotonic() - curves_drawn > _SECONDS_BETWEEN_CURVES:
                draw_curves(run)
                curves_drawn = time.monotonic()
            assert tensorboard is not None
            tensorboard.add(record)

        train(
            fabric,
            recipe,
            run,
            training,
            validation,
            resume=resume,
            command=command,
            initial_weights=initial and initial.weights,
            step_done=progress.step_done,
            epoch_done=epoch_done,
            checkpoint_seconds=checkpoint_seconds,
        )


def _read_once(fabric: Fabric, read: Callable[[], T]) -> T:
    """What the first process reads, in all of them; where it cannot, it says why and the others end without a word."""
    found, fault = None, None
    if fabric.is_global_zero:
        try:
            found = read()
        except (TrainingInputError, OSError) as error:
            fault = error
    failed, found = fabric.broadcast((fault is not None, found))
    if fault is not None:
        raise fault
    if failed:
        raise SystemExit(1)
    return cast(T, found)


def match_recipe_weights(recipe: Recipe) -> Match | None:
    """The entries of `network.initial_weights` that fit the recipe's network; None where the recipe names no file.

    Raises:
        RecipeError, WeightsError: the file is not there, cannot be read, or nothing in it fits.
    """
    path = recipe.network.initial_weights_file()
    if path is None:
        return None
    with torch.device("meta"):  # names and shapes are enough
        return match_initial_weights(build_recipe_network(recipe), path)


def describe_batches(settings: Optimisation, devices: int) -> str:
    """How a step's batch falls to devices and parts: batch norm sees one of these pieces at a time."""
    pieces = devices * settings.accumulation
    line = f"{settings.precision}, batches of {settings.batch_size}"
    return line if pieces == 1 else f"{line} in {pieces} pieces of {settings.batch_size // pieces}"
