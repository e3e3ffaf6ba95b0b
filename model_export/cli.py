"""The training half's commands, registered under the entry-point group `focalpoint.commands`.

Importing this module is cheap: torch is imported only inside the commands.
"""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from model_export.errors import TrainingInputError
from service.contract.bundle_manifest import BundleError


def train(
    recipe: Annotated[Path, typer.Argument(help="recipe file (TOML)")],
    run: Annotated[Path | None, typer.Option(help="run folder; default runs/NAME")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the run where its checkpoint stands")] = False,
    no_afl: Annotated[bool, typer.Option("--no-afl", help="the vanilla arm: every difficulty is one")] = False,
    seed: Annotated[int | None, typer.Option(help="instead of the recipe's seed")] = None,
) -> None:
    """Train a recipe with Adversarial Focal Loss."""
    from model_export.train_command import run_training  # noqa: PLC0415  (torch is heavy)

    try:
        run_training(recipe, run, resume=resume, no_afl=no_afl, seed=seed)
    except TrainingInputError as error:
        _refuse(error)


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="bundle folder")],
    url: Annotated[str | None, typer.Option(help="measure this running service, whole pictures without boxes")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write the report here")] = None,
) -> None:
    """Measure a bundle on the validation split of its recipe, with boxes around the labels."""
    from model_export.evaluate_command import run_evaluation  # noqa: PLC0415

    try:
        run_evaluation(bundle, url, json_file)
    except (TrainingInputError, BundleError) as error:
        _refuse(error)


def export(
    run: Annotated[Path, typer.Argument(help="run folder")],
    output: Annotated[Path, typer.Option(help="bundle folder to write or replace")],
    golden: Annotated[Path | None, typer.Option(help="TOML list of golden pictures; default: one drawn face")] = None,
) -> None:
    """Export a finished run as a bundle, checked against torch and measured on the validation split."""
    from model_export.export_bundle import export_bundle  # noqa: PLC0415
    from model_export.run_folder import RunFolder  # noqa: PLC0415

    try:
        manifest, parity = export_bundle(RunFolder(run), output, golden)
    except TrainingInputError as error:
        _refuse(error)
    typer.echo(f"{output}: {manifest.name} {manifest.version}, sha256 {manifest.sha256['model.onnx'][:12]}")
    typer.echo(
        f"onnxruntime and torch differ by {parity.heatmaps:.1e} in heatmaps, {parity.points_in_crop:.1e} px in points "
        f"({parity.tie_share:.1%} ties left out)"
    )
    for figure in manifest.accuracy:
        typer.echo(f"{figure.metric} {figure.value:.2%}, {figure.normaliser}, {figure.box_protocol}, {figure.data}")


def _refuse(error: Exception) -> NoReturn:
    typer.echo(f"focalpoint: {error}", err=True)
    raise typer.Exit(1)
