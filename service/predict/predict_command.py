"""`focalpoint predict`: from the flags to one picture, or a job."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from service.box_parsing import parse_boxes, split_boxes
from service.contract.bundle_manifest import file_sha256
from service.contract.crop_transform import Box
from service.errors import InvalidSetting, RequestError, StartupError
from service.predict.frames import count_frames
from service.predict.given_boxes import BoxesOf, read_boxes, same_boxes
from service.predict.job import Job, Summary, run_job
from service.predict.lookers import OpenLooker, bundle_looker
from service.predict.one_picture import predict_picture
from service.predict.outputs import FORMATS, plan_outputs
from service.predict.progress import progress_bar
from service.predict.server_looker import server_looker
from service.predict.sources import PICTURE_SUFFIXES, VIDEO_SUFFIXES, Source, find_sources
from service.predict.video_files import silence_ffmpeg
from service.setting_flags import setting_flag
from service.settings import Settings, read_settings

# A forward pass of the default size runs while the crops of the next one are cut.
_IN_FLIGHT, _IN_FLIGHT_AT_SERVER = 32, 8
_LISTED_FAULTS = 20
_INTERRUPTED = 130


def predict_command(
    inputs: Annotated[list[Path], typer.Argument(help="Pictures, videos, and folders of them.")],
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write; repeat for several. The suffix says what: .jsonl, .json, .csv, a picture's, "
            "a video's; a folder takes drawings.",
        ),
    ] = None,
    format: Annotated[
        list[str] | None,
        typer.Option("--format", help=f"{', '.join(FORMATS)}; one for each --output where the suffix does not say it."),
    ] = None,
    model: Annotated[Path | None, setting_flag("model")] = None,
    url: Annotated[str | None, typer.Option(help="Ask this server; --model names one of its models.")] = None,
    api_key: Annotated[
        str | None, typer.Option(envvar="FOCALPOINT_API_KEY", help="For the server.", show_default=False)
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            help="x,y,width,height in pixels, for every frame; repeat for several. Without: one object fills it."
        ),
    ] = None,
    boxes: Annotated[
        Path | None, typer.Option(help="CSV (file,frame,x,y,width,height) or JSON: boxes of each frame.")
    ] = None,
    coco_annotations: Annotated[
        Path | None, typer.Option(help="COCO's annotation file with the image ids for --format coco.")
    ] = None,
    in_flight: Annotated[
        int | None, typer.Option(min=1, help=f"Frames at a time; {_IN_FLIGHT}, at a server {_IN_FLIGHT_AT_SERVER}.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, not where an ended run left off.")] = False,
    provider: Annotated[str | None, setting_flag("provider")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the answer for one picture as the server gives it.")
    ] = False,
) -> None:
    """Find the keypoints in pictures and videos; write tables, results or drawings."""
    settings = read_settings(model=None if url else model, provider=provider)
    if not url and "model" not in settings.model_fields_set and not settings.model.is_dir():
        raise InvalidSetting(
            f"--model: expected the folder of a bundle, found none given, and the default {settings.model} is not here"
        )
    outputs, everywhere = output or [], parse_boxes(split_boxes(";".join(box or [])), settings.max_boxes)
    at_once = in_flight or (_IN_FLIGHT_AT_SERVER if url else _IN_FLIGHT)
    open_looker: OpenLooker = (
        partial(server_looker, url, api_key, None if model is None else str(model), partial(typer.echo, err=True))
        if url
        else partial(bundle_looker, settings, at_once)
    )
    one = _one_picture(inputs, outputs, json=json, plain=not (format or boxes or coco_annotations or restart))
    if one is not None:
        _predict_one(open_looker, one, everywhere, outputs, json=json)
        return
    if not outputs:
        raise InvalidSetting(
            "predict: give -o OUT.png to draw the keypoints of one picture, --json to print them, or both; for any "
            "number of pictures and videos -o TABLE.csv, -o results.json or -o FOLDER"
        )
    if json:
        raise InvalidSetting("--json: expected one picture; -o rows.jsonl takes any number of them")
    if everywhere and boxes:
        raise InvalidSetting("--box and --boxes: expected one of them, found both")
    silence_ffmpeg()
    sources = find_sources(inputs, outputs, allow_tiff=settings.allow_tiff)
    job = Job(
        sources=sources,
        boxes_of=_boxes_of(boxes, everywhere, sources, settings),
        asked={
            "by": url or settings.provider,
            "boxes": file_sha256(boxes) if boxes else [[one.x, one.y, one.width, one.height] for one in everywhere],
            "max_pixels": settings.max_pixels,
            "allow_tiff": settings.allow_tiff,
        },
        writers=plan_outputs(outputs, format or [], sources, coco_annotations),
        journal=_beside(outputs[0]),
        restart=restart,
        in_flight=at_once,
        settings=settings,
    )
    _report(_run(job, open_looker), outputs)


def _one_picture(inputs: Sequence[Path], outputs: Sequence[Path], *, json: bool, plain: bool) -> Path | None:
    """The only input, if it is a picture that is to be drawn or printed, and nothing else."""
    if len(inputs) != 1 or len(outputs) > 1 or not plain or inputs[0].is_dir():
        return None
    if inputs[0].suffix.lower() in VIDEO_SUFFIXES:
        return None
    drawn = bool(outputs) and not outputs[0].is_dir() and outputs[0].suffix.lower() in PICTURE_SUFFIXES
    return inputs[0] if drawn or (json and not outputs) else None


def _predict_one(
    open_looker: OpenLooker, picture: Path, boxes: Sequence[Box], outputs: Sequence[Path], *, json: bool
) -> None:
    output = outputs[0] if outputs else None
    answer, estimate, model = asyncio.run(predict_picture(open_looker, picture, boxes, output))
    if json:
        typer.echo(answer)
    elif output is not None:
        scores = ", ".join(f"{instance.scores.mean():.2f}" for instance in estimate.instances)
        typer.echo(f"{output}: {len(model.keypoints.names)} keypoints each, score {scores}")


def _beside(output: Path) -> Path:
    """Where the journal lies; of `.` too."""
    path = output.resolve()
    return path.with_name(f"{path.name}.progress")


def _boxes_of(file: Path | None, everywhere: Sequence[Box], sources: Sequence[Source], settings: Settings) -> BoxesOf:
    return same_boxes(everywhere) if file is None else read_boxes(file, sources, settings.max_boxes)


def _run(job: Job, open_looker: OpenLooker) -> Summary:
    try:
        with progress_bar(count_frames(job.sources)) as progress:
            return run_job(job, open_looker, progress)
    except KeyboardInterrupt:
        typer.echo("focalpoint: interrupted; the same command goes on from here", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    except RequestError as error:
        raise StartupError(f"{error}; the rows so far are kept, the same command goes on from there") from error


def _report(summary: Summary, outputs: Sequence[Path]) -> None:
    pace = f", {summary.new_rows / summary.seconds:.1f} frames/s" if summary.new_rows else ""
    earlier = summary.rows - summary.new_rows
    found_before = f", {earlier} of them by an earlier run" if earlier else ""
    typer.echo(f"{summary.rows} frames{found_before}{pace}: {', '.join(map(str, outputs))}")
    if not summary.faults:
        return
    for fault in summary.faults[:_LISTED_FAULTS]:
        typer.echo(f"focalpoint: {fault}", err=True)
    rest = len(summary.faults) - _LISTED_FAULTS
    typer.echo(
        f"focalpoint: {len(summary.faults)} without keypoints{f', {rest} of them not listed' if rest > 0 else ''}",
        err=True,
    )
    raise typer.Exit(1)
