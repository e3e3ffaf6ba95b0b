"""`focalpoint train`: wires recipe, data, run folder and trainer, and shows progress."""

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model_export.curves import draw_curves
from model_export.data.splits import training_samples, validation_samples
from model_export.recipe import load_recipe
from model_export.run_folder import RunFolder
from model_export.trainer import EpochRecord, train


def run_training(recipe_path: Path, run_path: Path | None, *, resume: bool, no_afl: bool, seed: int | None) -> None:
    """Train a recipe into a run folder.

    Raises:
        TrainingInputError: recipe, data or run folder cannot be used.
    """
    recipe = load_recipe(recipe_path)
    if no_afl:
        recipe = recipe.without_afl()
    if seed is not None:
        recipe = recipe.model_copy(update={"seed": seed})
    run = RunFolder(run_path or Path("runs") / recipe.name)
    # Before the pictures are read, which may take minutes; a run is started only once its data is known to be good.
    if resume:
        run.resume(recipe)
    else:
        run.check_unused()
    training, validation = training_samples(recipe), validation_samples(recipe)
    if not resume:
        run.start(recipe)

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(f"{recipe.name}: {len(training)} training and {len(validation)} validation samples, run {run.path}")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("batches")

        def epoch_done(record: EpochRecord) -> None:
            console.print(_describe(record, recipe.optimisation.epochs))
            draw_curves(run)

        train(
            recipe,
            run,
            training,
            validation,
            resume=resume,
            batch_done=lambda done, total: progress.update(task, completed=done, total=total),
            epoch_done=epoch_done,
        )


def _describe(record: EpochRecord, epochs: int) -> str:
    line = f"epoch {record['epoch'] + 1}/{epochs}  base loss {record['base_loss']:.4f}"
    line += f"  difficulty {record['difficulty_mean']:.3f} ± {record['difficulty_spread']:.3f}"
    line += f" (correlation with loss {record['difficulty_loss_correlation']:+.2f})  {record['seconds']:.0f} s"
    if "validation_nme" in record:
        line += f"  NME {record['validation_nme']:.2%}  failures {record['validation_failure_rate']:.2%}"
    return line
