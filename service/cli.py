"""The command `focalpoint`: serving and predicting, and whatever else registers under `focalpoint.commands`."""

import logging
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from service import __version__
from service.box_parsing import parse_boxes, split_boxes
from service.contract.bundle_manifest import BundleError
from service.errors import InvalidSetting, ServiceError, StartupError
from service.model_loading import load_model
from service.prediction import predict, write_drawing
from service.server import serve
from service.settings import DEFAULT_BUNDLE, Settings, flag_of, read_settings, usable_cores, variable_of

COMMANDS_GROUP = "focalpoint.commands"


def main() -> None:
    """The console script: every error that was meant ends in one sentence and its exit code."""
    try:
        build_command_line()()
    except ServiceError as error:
        typer.echo(f"focalpoint: {error}", err=True)
        sys.exit(error.exit_code if isinstance(error, StartupError) else 1)
    except BundleError as error:
        typer.echo(f"focalpoint: {error}", err=True)
        sys.exit(1)


def build_command_line() -> typer.Typer:
    """`focalpoint` with the commands of this package and those that are registered under the entry-point group."""
    app = typer.Typer(
        help="Train keypoint networks with Adversarial Focal Loss and serve them over HTTP.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_top_level)
    app.command("serve")(serve_command)
    app.command("predict")(predict_command)
    for entry_point in sorted(entry_points(group=COMMANDS_GROUP), key=lambda entry_point: entry_point.name):
        app.command(entry_point.name)(entry_point.load())
    return app


def _setting(name: str) -> Any:
    field = Settings.model_fields[name]
    return typer.Option(flag_of(name), help=f"{field.description} ({variable_of(name)}; default {field.default})")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"focalpoint {__version__}")
        raise typer.Exit


def _top_level(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def serve_command(
    model: Annotated[
        Path | None,
        typer.Argument(help=f"bundle folder of the model ({variable_of('model')}; default {DEFAULT_BUNDLE})"),
    ] = None,
    host: Annotated[str | None, _setting("host")] = None,
    port: Annotated[int | None, _setting("port")] = None,
    provider: Annotated[str | None, _setting("provider")] = None,
    intra_op_threads: Annotated[int | None, _setting("intra_op_threads")] = None,
    decode_threads: Annotated[int | None, _setting("decode_threads")] = None,
    max_batch: Annotated[int | None, _setting("max_batch")] = None,
    max_queue: Annotated[int | None, _setting("max_queue")] = None,
    max_in_flight: Annotated[int | None, _setting("max_in_flight")] = None,
    max_boxes: Annotated[int | None, _setting("max_boxes")] = None,
    max_body_bytes: Annotated[int | None, _setting("max_body_bytes")] = None,
    max_pixels: Annotated[int | None, _setting("max_pixels")] = None,
    deadline_ms: Annotated[int | None, _setting("deadline_ms")] = None,
    drain_delay_ms: Annotated[int | None, _setting("drain_delay_ms")] = None,
    drain_timeout_ms: Annotated[int | None, _setting("drain_timeout_ms")] = None,
    log_level: Annotated[str | None, _setting("log_level")] = None,
) -> None:
    """Serve a bundle over HTTP until SIGTERM or Ctrl+C."""
    settings = read_settings(**locals())
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    serve(settings, load_model(settings.model, settings.provider, settings.intra_op_threads or usable_cores()))


def predict_command(
    image: Annotated[Path, typer.Argument(help="A JPEG, PNG, WebP or BMP file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the picture with its keypoints here.")
    ] = None,
    model: Annotated[Path | None, _setting("model")] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(help="x,y,width,height in pixels; repeat for several. Without: one object fills the picture."),
    ] = None,
    provider: Annotated[str | None, _setting("provider")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the answer that the server would give.")] = False,
) -> None:
    """Find the keypoints in one picture and draw them."""
    if output is None and not json:
        raise InvalidSetting("predict: give -o OUT.png to draw the keypoints, --json to print them, or both")
    settings = read_settings(model=model, provider=provider)
    engine = load_model(settings.model, settings.provider, settings.intra_op_threads or usable_cores())
    boxes = parse_boxes(split_boxes(";".join(box or [])), settings.max_boxes)
    answer, estimate = predict(settings, engine, image, boxes)
    if output is not None:
        write_drawing(image, estimate, engine.manifest.keypoints.skeleton, output, settings.max_pixels)
    if json:
        typer.echo(answer)
    elif output is not None:
        scores = ", ".join(f"{instance.scores.mean():.2f}" for instance in estimate.instances)
        typer.echo(f"{output}: {len(engine.manifest.keypoints.names)} keypoints each, score {scores}")
