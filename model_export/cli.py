"""The training half's commands, registered under the entry-point group `focalpoint.commands`.

Importing this module is cheap: torch is imported only inside the commands.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from model_export.errors import TrainingInputError
from service.contract.bundle_manifest import BundleError

# ruff: noqa: PLC0415  (the commands' imports are heavy)


def train(
    recipe: Annotated[Path, typer.Argument(help="recipe file (TOML)")],
    run: Annotated[Path | None, typer.Option(help="run folder; default runs/NAME")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with the run where its checkpoint stands")] = False,
    no_afl: Annotated[bool, typer.Option("--no-afl", help="the vanilla arm: every difficulty is one")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="instead of the recipe's seed")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE instead of the recipe's, such as input.width=192; repeat"),
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="processes on this machine, one for each GPU (or on CPUs)")] = 1,
    checkpoint_minutes: Annotated[float, typer.Option(min=0, help="between checkpoints within an epoch")] = 10.0,
) -> None:
    """Train a recipe with Adversarial Focal Loss."""
    with _errors_in_one_sentence():
        from model_export.command_line_record import command_line, train_options
        from model_export.train_command import choose_recipe, choose_run, run_training

        options = train_options(resume=resume, no_afl=no_afl, seed=seed, settings=settings or [])
        chosen = choose_recipe(recipe, settings or [], no_afl=no_afl, seed=seed, devices=devices)
        folder = choose_run(chosen, run, resume=resume)
        if devices > 1:
            from model_export.launch import run_on_devices

            arguments = ["train", str(recipe), "--run", str(folder.path), f"--checkpoint-minutes={checkpoint_minutes}"]
            if not run_on_devices(devices, [*arguments, *options]):
                raise typer.Exit(1)
        else:
            command = command_line("train", recipe, "--run", folder.path, *options)
            run_training(chosen, folder, resume=resume, command=command, checkpoint_seconds=60 * checkpoint_minutes)


def compare(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RECIPE | RUN...", help="a recipe file, or folders of finished runs")
    ],
    seeds: Annotated[int, typer.Option(min=2, help="how many of each arm, counted from the recipe's seed")] = 3,
    arm: Annotated[
        list[str] | None,
        typer.Option(help="NAME=KEY=VALUE,KEY=VALUE, an arm beside the vanilla one and the recipe's; repeat"),
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE for all arms; repeat")] = None,
    workers: Annotated[int, typer.Option(min=1, help="trainings at a time")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="of each; default: an even share of the cores")] = None,
    output: Annotated[Path | None, typer.Option(help="folder for report and runs; default runs/compare_NAME")] = None,
    any_code: Annotated[
        bool, typer.Option("--any-code", help="take runs that are there whatever versions trained them")
    ] = False,
) -> None:
    """Compare training with and without AFL, and other arms, on the same seeds, budget and data order."""
    with _errors_in_one_sentence():
        from model_export.compare_command import compare_arms, compare_runs
        from model_export.errors import RunError

        if len(paths) == 1 and not paths[0].is_dir():
            compare_arms(
                paths[0],
                seeds=seeds,
                arms=arm or [],
                settings=settings or [],
                workers=workers,
                threads=threads,
                output=output,
                any_code=any_code,
            )
        elif arm or settings:
            raise RunError("--arm and --set change a recipe: they do not go with runs, which are trained already")
        else:
            compare_runs(paths, output)


def difficulty(
    run: Annotated[Path, typer.Argument(help="folder of a finished run with AFL")],
    output: Annotated[Path | None, typer.Option(help="folder for figures and report; default RUN/difficulty")] = None,
    count: Annotated[int, typer.Option(min=1, help="samples on each side of a figure")] = 4,
) -> None:
    """Draw which training samples were easy and hard, and report what their difficulty goes together with."""
    with _errors_in_one_sentence():
        from model_export.difficulty_command import run_difficulty

        run_difficulty(run, output, count)


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="bundle folder")],
    url: Annotated[str | None, typer.Option(help="measure this running service, whole pictures without boxes")] = None,
    boxes: Annotated[
        str | None,
        typer.Option(help="label | annotated | FILE of COCO detections; default: annotated, else around the labels"),
    ] = None,
    flip_test: Annotated[
        Literal["none", "plain", "shifted"],
        typer.Option(help="average with the mirrored crop's heatmaps; shifted by one cell for alignment stride"),
    ] = "none",
    json_file: Annotated[Path | None, typer.Option("--json", help="write the report here")] = None,
    ced: Annotated[Path | None, typer.Option(help="draw the cumulative error distribution of NME here (PNG)")] = None,
    coco_results: Annotated[Path | None, typer.Option(help="write the keypoints here as COCO results (JSON)")] = None,
) -> None:
    """Measure a bundle on the validation split of its recipe, by the recipe's metrics."""
    with _errors_in_one_sentence():
        from model_export.evaluate_command import Outputs, run_evaluation

        run_evaluation(bundle, url, boxes, Outputs(json_file, ced, coco_results), flip_test)


def export(
    run: Annotated[Path, typer.Argument(help="run folder")],
    output: Annotated[Path, typer.Option(help="bundle folder to write or replace")],
    golden: Annotated[Path | None, typer.Option(help="TOML list of golden pictures; default: one drawn face")] = None,
) -> None:
    """Export a finished run as a bundle, checked against torch and measured on the validation split."""
    with _errors_in_one_sentence():
        from model_export.bundle_writing import describe_bundle
        from model_export.export_bundle import export_bundle
        from model_export.metrics.figures import value_text
        from model_export.run_folder import RunFolder

        manifest, parity = export_bundle(RunFolder(run), output, golden)
        typer.echo(describe_bundle(output, manifest, parity))
        for figure in manifest.accuracy:
            value = value_text(figure.value, figure.unit)
            typer.echo(f"{figure.metric} {value}, {figure.convention}, {figure.box_protocol}, {figure.data}")


def quantize(
    bundle: Annotated[Path, typer.Argument(help="bundle folder, in float32")],
    output: Annotated[Path, typer.Option(help="bundle folder to write or replace")],
    to: Annotated[Literal["int8", "float16"], typer.Option(help="int8 for CPUs, float16 for GPUs")],
    data: Annotated[
        Path | None, typer.Option(help="recipe (TOML) whose data calibrate and measure; default: the bundle's own")
    ] = None,
) -> None:
    """Write a bundle that computes in fewer bits, and say what that costs in accuracy."""
    with _errors_in_one_sentence():
        from model_export.command_line_record import command_line
        from model_export.quantization.comparison import comparison_table
        from model_export.quantization.quantize_bundle import quantize_bundle

        options = ("--output", output, "--to", to, *(("--data", data) if data else ()))
        done = quantize_bundle(bundle, output, to, data, command_line("quantize", bundle, *options))
        typer.echo(comparison_table(done.comparison, to))
        before, after = done.milliseconds_per_crop
        typer.echo(f"on one CPU thread of this machine: {before:.2f} ms per crop in float32, {after:.2f} ms in {to}")
        typer.echo(f"{output}: {done.manifest.name} {done.manifest.version}")


def import_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(help="file that torch saved")],
    output: Annotated[Path, typer.Option(help="bundle folder to write or replace")],
    network: Annotated[str | None, typer.Option(help="which network it fills, as network.name of a recipe")] = None,
    size: Annotated[str | None, typer.Option("--input", help="HEIGHTxWIDTH of its crops in pixels")] = None,
    channel_order: Annotated[str | None, typer.Option(help="rgb or bgr, as it was trained")] = None,
    stride_placement: Annotated[str | None, typer.Option(help="pytorch or caffe; residual networks only")] = None,
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE, another size of the network; repeat")] = None,
    codec: Annotated[str | None, typer.Option(help="classical, dark or udp; docs/geometry.md")] = None,
    sigma: Annotated[float | None, typer.Option(help="of its heatmaps, in cells")] = None,
    blur_kernel: Annotated[int | None, typer.Option(help="of DARK, in cells; codec dark and udp only")] = None,
    padding: Annotated[float, typer.Option(help="factor by which boxes are grown")] = 1.25,
    skeleton: Annotated[str | None, typer.Option(help="shipped skeleton such as coco17, or a TOML file")] = None,
    name: Annotated[str | None, typer.Option(help="of the bundle")] = None,
    version: Annotated[str, typer.Option(help="of the bundle")] = "1.0.0",
    licence: Annotated[str | None, typer.Option(help="of the weights, an SPDX identifier")] = None,
    licence_file: Annotated[Path | None, typer.Option(help="the licence's text")] = None,
    research_only: Annotated[bool | None, typer.Option("--research-only/--any-use", help="what it allows")] = None,
    source: Annotated[str | None, typer.Option(help="where the weights come from, what they were trained on")] = None,
    golden: Annotated[Path | None, typer.Option(help="TOML list of golden pictures; default: one drawn face")] = None,
) -> None:
    """Make a bundle of a published checkpoint; what the file cannot tell must be said."""
    given = dict(locals())
    with _errors_in_one_sentence():
        from model_export.bundle_writing import describe_bundle
        from model_export.command_values import parse_options, parse_size
        from model_export.import_checkpoint import import_checkpoint as write
        from model_export.import_settings import parse_settings

        said = {key: given[key] for key in given.keys() - {"checkpoint", "output", "size", "option", "golden"}}
        said |= {"input": None if size is None else parse_size(size), "options": parse_options(option or [])}
        manifest, parity = write(checkpoint, output, parse_settings(said), golden)
        typer.echo(describe_bundle(output, manifest, parity))
        typer.echo("the accuracy of these weights in this bundle was not measured")


def describe(
    network: Annotated[str, typer.Argument(help="its name, as in network.name of a recipe")],
    keypoints: Annotated[int, typer.Option(min=1, help="how many keypoints it finds")],
    size: Annotated[str, typer.Option("--input", help="HEIGHTxWIDTH of the crop in pixels")],
    option: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE, as in [network] of a recipe; repeat for several")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Count the parameters and multiply-accumulates of a network and of the critic."""
    with _errors_in_one_sentence():
        from model_export.describe_command import run_description

        run_description(network, keypoints, size, option or [], as_json=as_json)


def check_data(
    recipe: Annotated[
        Path | None, typer.Argument(help="recipe file (TOML); or give --format and --annotations")
    ] = None,
    data_format: Annotated[str | None, typer.Option("--format", help="of the annotations, as data.format")] = None,
    annotations: Annotated[Path | None, typer.Option(help="annotation file, or folder of them")] = None,
    images: Annotated[Path | None, typer.Option(help="folder of the pictures; default: that of the file")] = None,
    skeleton: Annotated[str | None, typer.Option(help="shipped skeleton such as coco17, or a TOML file")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write every problem here")] = None,
    draw: Annotated[
        Path | None, typer.Option(help="draw the first pictures with their labels into this folder")
    ] = None,
) -> None:
    """Look for mistakes in annotations and pictures; exit code 1 where there is an error."""
    with _errors_in_one_sentence():
        from model_export.check_data_command import file_source, recipe_sources, run_check

        if recipe is not None:
            sources, keypoints = recipe_sources(recipe)
        elif data_format and annotations and skeleton:
            sources, keypoints = file_source(data_format, annotations, images, skeleton)
        else:
            raise typer.BadParameter("give a recipe, or --format, --annotations and --skeleton")
        if not run_check(sources, keypoints, json_file, draw):
            raise typer.Exit(1)


def estimate_sigmas(
    data_format: Annotated[str, typer.Argument(metavar="FORMAT", help="of both annotation files, as data.format")],
    first: Annotated[Path, typer.Argument(help="one annotator's labels, or a network's answers")],
    second: Annotated[Path, typer.Argument(help="another annotator's labels of the same pictures, or the truth")],
    skeleton: Annotated[str, typer.Option(help="shipped skeleton such as coco17, or a TOML file")],
    second_is_truth: Annotated[bool, typer.Option("--second-is-truth", help="only the first errs")] = False,
) -> None:
    """Estimate the OKS sigmas of keypoints from objects that were labelled twice."""
    with _errors_in_one_sentence():
        from model_export.estimate_sigmas_command import run_estimate

        run_estimate(data_format, first, second, skeleton, second_is_truth=second_is_truth)


@contextmanager
def _errors_in_one_sentence() -> Iterator[None]:
    """What the person at the keyboard can put right ends in one sentence and exit code 1."""
    try:
        yield
    except (TrainingInputError, BundleError) as error:
        typer.echo(f"focalpoint: {error}", err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        typer.echo(f"focalpoint: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        raise typer.Exit(1) from error
    except ModuleNotFoundError as error:
        typer.echo(
            f"focalpoint: this command needs {error.name}: in Focalpoint's folder, pip install '.[cpu,train]'", err=True
        )
        raise typer.Exit(1) from error
