"""The command `focalpoint`: serving and predicting, and whatever else registers under `focalpoint.commands`."""

import sys
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer

from service import __version__
from service.adoption.adopt_command import adopt_command
from service.api_keys import new_key
from service.contract.bundle_manifest import BundleError
from service.cuda_options import CudaOptions
from service.errors import ServiceError, StartupError
from service.inspection.inspect_command import inspect_command
from service.logs import configure_logging
from service.model_loading import load_model
from service.model_threads import model_threads
from service.predict.predict_command import predict_command
from service.process_memory import limit_malloc_arenas
from service.server import serve
from service.setting_flags import setting_flag, setting_switch
from service.settings import DEFAULT_BUNDLE, read_settings, variable_of
from service.tuning.tune_command import tune_command
from service.workers.supervisor import supervise

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
    app.command("new-key")(new_key_command)
    app.command("adopt")(adopt_command)
    app.command("inspect")(inspect_command)
    app.command("tune")(tune_command)
    for entry_point in sorted(entry_points(group=COMMANDS_GROUP), key=lambda entry_point: entry_point.name):
        app.command(entry_point.name)(entry_point.load())
    return app


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
        typer.Argument(
            help=f"bundle folder, or a folder of bundles ({variable_of('model')}; default {DEFAULT_BUNDLE})"
        ),
    ] = None,
    default_model: Annotated[str | None, setting_flag("default_model")] = None,
    host: Annotated[str | None, setting_flag("host")] = None,
    port: Annotated[int | None, setting_flag("port")] = None,
    admin_port: Annotated[int | None, setting_flag("admin_port")] = None,
    page: Annotated[bool | None, setting_switch("page")] = None,
    provider: Annotated[str | None, setting_flag("provider")] = None,
    cuda_graphs: Annotated[bool | None, setting_switch("cuda_graphs")] = None,
    gpu_memory_bytes: Annotated[int | None, setting_flag("gpu_memory_bytes")] = None,
    workers: Annotated[int | None, setting_flag("workers")] = None,
    batches_at_once: Annotated[int | None, setting_flag("batches_at_once")] = None,
    intra_op_threads: Annotated[int | None, setting_flag("intra_op_threads")] = None,
    lone_threads: Annotated[int | None, setting_flag("lone_threads")] = None,
    decode_threads: Annotated[int | None, setting_flag("decode_threads")] = None,
    max_batch: Annotated[int | None, setting_flag("max_batch")] = None,
    max_queue: Annotated[int | None, setting_flag("max_queue")] = None,
    max_in_flight: Annotated[int | None, setting_flag("max_in_flight")] = None,
    max_boxes: Annotated[int | None, setting_flag("max_boxes")] = None,
    max_heatmap_boxes: Annotated[int | None, setting_flag("max_heatmap_boxes")] = None,
    max_images: Annotated[int | None, setting_flag("max_images")] = None,
    max_body_bytes: Annotated[int | None, setting_flag("max_body_bytes")] = None,
    max_buffered_bytes: Annotated[int | None, setting_flag("max_buffered_bytes")] = None,
    min_body_bytes_per_second: Annotated[int | None, setting_flag("min_body_bytes_per_second")] = None,
    max_connections: Annotated[int | None, setting_flag("max_connections")] = None,
    slow_connection_ms: Annotated[int | None, setting_flag("slow_connection_ms")] = None,
    max_pixels: Annotated[int | None, setting_flag("max_pixels")] = None,
    max_drawn_pixels: Annotated[int | None, setting_flag("max_drawn_pixels")] = None,
    max_pixels_in_memory: Annotated[int | None, setting_flag("max_pixels_in_memory")] = None,
    allow_tiff: Annotated[bool | None, setting_switch("allow_tiff")] = None,
    reduced_decoding: Annotated[bool | None, setting_switch("reduced_decoding")] = None,
    deadline_ms: Annotated[int | None, setting_flag("deadline_ms")] = None,
    stuck_ms: Annotated[int | None, setting_flag("stuck_ms")] = None,
    drain_delay_ms: Annotated[int | None, setting_flag("drain_delay_ms")] = None,
    drain_timeout_ms: Annotated[int | None, setting_flag("drain_timeout_ms")] = None,
    api_keys: Annotated[Path | None, setting_flag("api_keys")] = None,
    tls_certificate: Annotated[Path | None, setting_flag("tls_certificate")] = None,
    tls_key: Annotated[Path | None, setting_flag("tls_key")] = None,
    log_format: Annotated[str | None, setting_flag("log_format")] = None,
    log_level: Annotated[str | None, setting_flag("log_level")] = None,
    settings_file: Annotated[
        Path | None,
        typer.Option("--settings", help="file of FOCALPOINT_...= lines, read after flags and environment"),
    ] = None,
) -> None:
    """Serve a bundle, or all that a folder holds, over HTTP until SIGTERM or Ctrl+C."""
    settings = read_settings(**locals())
    limit_malloc_arenas()
    configure_logging(settings.log_level, settings.log_format)
    threads = model_threads(settings).intra_op_threads
    cuda = CudaOptions(settings.cuda_graphs, settings.gpu_memory_bytes)
    load = partial(load_model, provider=settings.provider, intra_op_threads=threads, cuda=cuda)
    if settings.workers == 1:
        serve(settings, load)
    else:
        supervise(settings, load)


def new_key_command(
    name: Annotated[str, typer.Argument(help="Who gets it; stands in the log.")],
    images_per_second: Annotated[
        float | None, typer.Option(help="What it may ask for on the average; default: no limit.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="It may load and unload models.")] = False,
) -> None:
    """Make an API key: the key on standard output, for its user, and what to add to the key file on standard error."""
    key, sha256 = new_key()
    typer.echo(key)
    lines = ["[[key]]", f'name = "{name}"', f'sha256 = "{sha256}"']
    if images_per_second is not None:
        lines.append(f"images_per_second = {images_per_second:g}")
    if admin:
        lines.append("admin = true")
    typer.echo("\n".join(lines), err=True)
