"""`focalpoint train`: wires recipe, data, run folder and training, and shows progress."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from model_export.curves import draw_curves
from model_export.data.splits import training_samples, validation_samples
from model_export.devices import build_fabric
from model_export.epoch_record import EpochRecord
from model_export.optimisation import Optimisation
from model_export.progress import training_progress
from model_export.recipe import Recipe, load_recipe
from model_export.run_folder import RunFolder
from model_export.training_run import train


def choose_recipe(recipe_path: Path, settings: Sequence[str], *, no_afl: bool, seed: int | None) -> Recipe:
    """The recipe of a file with what the command line changes.

    Raises:
        RecipeError: it is not a recipe.
    """
    changes = [*settings]
    if no_afl:
        changes.append("adversarial_focal.enabled=false")
    if seed is not None:
        changes.append(f"seed={seed}")
    return load_recipe(recipe_path, changes)


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


def run_training(recipe: Recipe, run: RunFolder, *, resume: bool, checkpoint_seconds: float) -> None:
    """Train a recipe into a run folder, in this process or, each calling this, in those that torchrun started.

    Raises:
        TrainingInputError: recipe, data or run folder cannot be used.
    """
    fabric = build_fabric(recipe.optimisation.precision)
    devices = f"{fabric.world_size} x {fabric.device.type}"
    # Read and checked once; the others wait for it. A run is started only once its data is known to be good.
    samples = (training_samples(recipe), validation_samples(recipe)) if fabric.is_global_zero else ([], [])
    training, validation = fabric.broadcast(samples)
    if not resume and fabric.is_global_zero:
        run.start(recipe, devices)

    console = Console(highlight=False, markup=False, soft_wrap=True, quiet=not fabric.is_global_zero)
    console.print(f"{recipe.name}: {len(training)} training and {len(validation)} validation samples, run {run.path}")
    console.print(f"{devices}, {describe_batches(recipe.optimisation, fabric.world_size)}")
    with training_progress(console, recipe.optimisation.epochs) as progress:

        def epoch_done(record: EpochRecord) -> None:
            progress.epoch_done(record)
            draw_curves(run)

        train(
            fabric,
            recipe,
            run,
            training,
            validation,
            resume=resume,
            step_done=progress.step_done,
            epoch_done=epoch_done,
            checkpoint_seconds=checkpoint_seconds,
        )


def describe_batches(settings: Optimisation, devices: int) -> str:
    """How a step's batch falls to devices and parts: batch norm sees one of these pieces at a time."""
    pieces = devices * settings.accumulation
    line = f"{settings.precision}, batches of {settings.batch_size}"
    return line if pieces == 1 else f"{line} in {pieces} pieces of {settings.batch_size // pieces}"
