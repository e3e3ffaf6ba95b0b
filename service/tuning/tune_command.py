"""`focalpoint tune`: measures a bundle on this machine and writes the settings that suit both."""

import platform
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from service.batch_sizes import powers_of_two
from service.contract.bundle_manifest import MODEL_FILE
from service.contract.crop_transform import Box
from service.contract.golden_images import GOLDEN_FOLDER, load_golden_images
from service.engine import KeypointEngine
from service.errors import InvalidSetting, StartupError
from service.model_loading import load_model
from service.settings import Provider, Settings, usable_cores
from service.tuning.choice import Arrangement, Candidate, Load, arrangements, decode_threads, tables, tune
from service.tuning.measuring import Picture, measure_load, seconds_of_a_pass
from service.tuning.settings_file import chosen_settings, write_settings

_LARGEST_BATCH = 64
_SHARE_OF_PASSES = 0.3  # of the time; the rest is for the pipeline


def tune_command(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Settings file to write.")] = Path("tuned.env"),
    p99_ms: Annotated[
        float | None, typer.Option(min=0, help="What 99 of 100 answers must keep under load; default: no limit.")
    ] = None,
    picture: Annotated[
        list[Path] | None,
        typer.Option(help="A picture as your clients send them; repeat. Default: the bundle's golden images."),
    ] = None,
    provider: Annotated[str, typer.Option(help="cpu | cuda")] = "cpu",
    seconds: Annotated[float, typer.Option(min=1, help="About how long to measure.")] = 50,
) -> None:
    """Measure a bundle on this machine, and write settings with their reasons."""
    if provider not in ("cpu", "cuda"):
        raise InvalidSetting(f"--provider: expected cpu or cuda, found {provider}")
    chosen_provider: Provider = "cuda" if provider == "cuda" else "cpu"
    if not output.parent.is_dir():
        raise StartupError(f"--output: there is no folder {output.parent}")
    cores = usable_cores()
    engines: dict[int, KeypointEngine] = {}

    def engine_of(arrangement: Arrangement) -> KeypointEngine:
        threads = arrangement.intra_op_threads
        if threads not in engines:
            engines[threads] = load_model(bundle, chosen_provider, threads)
        return engines[threads]

    manifest = engine_of(arrangements(cores)[0]).manifest
    sizes = manifest.input.batch_sizes(powers_of_two(_LARGEST_BATCH))
    pictures = _given_pictures(picture) if picture else _golden_pictures(bundle)
    of_a_pass = _SHARE_OF_PASSES * seconds / (len(arrangements(cores)) * len(sizes))
    of_a_load = (1 - _SHARE_OF_PASSES) * seconds / (1 + len(arrangements(cores)) * len(decode_threads(cores)))

    def measure_pass(arrangement: Arrangement, size: int) -> float:
        return seconds_of_a_pass(engine_of(arrangement), arrangement, size, of_a_pass)

    def load(candidate: Candidate) -> Load:
        return measure_load(engine_of(candidate.arrangement), candidate, pictures, of_a_load)

    default_batch = min(Settings.model_fields["max_batch"].default, sizes[-1])
    limit = None if p99_ms is None else p99_ms / 1000
    tuning = tune(cores, sizes, default_batch, measure_pass, load, limit)
    typer.echo("\n".join(tables(tuning)))
    typer.echo(f"\nwithout HTTP; {len(pictures)} different pictures")
    for name, value in chosen_settings(tuning.chosen).items():
        typer.echo(f"{name} {value}: {tuning.reasons[name]}")
    origin = [
        f"focalpoint tune: {manifest.name} {manifest.version}, "
        f"sha256 {manifest.sha256[MODEL_FILE][:12]}, on {provider}",
        f"{date.today().isoformat()}, {platform.machine()}, {cores} usable cores"
        + ("" if p99_ms is None else f", --p99-ms {p99_ms:g}"),
    ]
    write_settings(output, tuning, origin)
    typer.echo(f"{output}: focalpoint serve {bundle} --settings {output}")


def _golden_pictures(bundle: Path) -> list[Picture]:
    golden_images = load_golden_images(bundle)
    if not golden_images:
        raise StartupError(f"{bundle} has no golden images: give a picture with --picture")
    folder = bundle / GOLDEN_FOLDER
    return [Picture((folder / golden.image).read_bytes(), Box(*golden.box)) for golden in golden_images]


def _given_pictures(paths: list[Path]) -> list[Picture]:
    try:
        return [Picture(path.read_bytes(), None) for path in paths]
    except OSError as error:
        raise StartupError(f"--picture {error.filename}: {error.strerror}") from error
