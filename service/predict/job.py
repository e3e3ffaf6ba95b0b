"""The whole of a job on half a page: frames . rows . journal . outputs."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Any, NamedTuple

from service.errors import InvalidParameter, TooLarge, UnprocessableImage, UnsupportedMediaType
from service.image_decoding import decode_image
from service.pipeline import Estimate
from service.predict.frames import Frame, Picture, Position, read_frames
from service.predict.given_boxes import BoxesOf
from service.predict.in_order import rows_in_order
from service.predict.journal import Journal, open_journal
from service.predict.lookers import Looker, LookingModel, OpenLooker
from service.predict.results import Results, Writer
from service.predict.rows import Row, decode_row, encode_row
from service.predict.sources import Source
from service.settings import Settings

_OF_THE_PICTURE = (UnprocessableImage, UnsupportedMediaType, InvalidParameter, TooLarge)


class Job(NamedTuple):
    """What is to be done.

    Attributes:
        sources: in this order.
        boxes_of: the boxes of each frame.
        asked: what beside the model and the sources decides about the rows; for the journal, JSON.
        writers: of what is asked for, called in order when all rows are there.
        journal: where the rows are kept until then.
        restart: begin anew.
        in_flight: the most frames at a time.
        settings: the limits of pictures.
    """

    sources: Sequence[Source]
    boxes_of: BoxesOf
    asked: dict[str, Any]
    writers: Sequence[Writer]
    journal: Path
    restart: bool
    in_flight: int
    settings: Settings


class Summary(NamedTuple):
    """What has become of it: all rows, those of this start and the seconds they took, and what was wrong with some."""

    rows: int
    new_rows: int
    seconds: float
    faults: list[str]


class JobProgress(NamedTuple):
    """Told how far a job is."""

    rows: Callable[[int], None]
    writing: Callable[[str], None]


def run_job(job: Job, open_looker: OpenLooker, progress: JobProgress) -> Summary:
    """Look at every frame that has no row yet, then write what is asked for.

    Raises:
        StartupError: the model, the journal or an output cannot be used.
        RequestError: the model failed; the rows so far are kept.
    """
    with ExitStack() as stack:
        found = asyncio.run(_find_rows(job, open_looker, progress, stack))
        results = Results(found.model, job.sources, found.journal.lines)
        # Outside the event loop, and after the model has been let go: Ctrl+C ends this at once.
        for writer in job.writers:
            progress.writing(writer.path.name)
            writer.write(results)
        faults = [f"{row.place}: {row.fault}" for row in results.rows() if row.fault]
        found.journal.remove()
        return Summary(found.journal.rows, found.new_rows, found.seconds, faults)


class _Found(NamedTuple):
    model: LookingModel
    journal: Journal
    new_rows: int
    seconds: float


async def _find_rows(job: Job, open_looker: OpenLooker, progress: JobProgress, stack: ExitStack) -> _Found:
    """The journal with the row of every frame; `stack` closes it."""
    async with open_looker() as looker:
        what = _what(job, looker.model)
        journal = stack.enter_context(open_journal(job.journal, what, restart=job.restart))
        before, start = journal.rows, _position_after(journal.last, job.sources)
        progress.rows(before)
        started = time.perf_counter()

        async def look(frame: Frame) -> Row:
            return await _row_of(frame, looker, job)

        frames, max_bytes = read_frames(job.sources, start), 3 * job.settings.max_pixels_in_memory
        async with aclosing(rows_in_order(frames, look, job.in_flight, max_bytes)) as rows:
            async for row in rows:
                journal.append(encode_row(looker.model, row))
                progress.rows(1)
        return _Found(looker.model, journal, journal.rows - before, time.perf_counter() - started)


async def _row_of(frame: Frame, looker: Looker, job: Job) -> Row:
    """What is wrong with a picture is its row; what is wrong with the model ends the job, which can go on later."""
    if frame.fault:
        return Row(frame.file, frame.number, fault=frame.fault)
    boxes = job.boxes_of(frame.file, frame.number)
    try:
        if boxes is None:
            estimate = await asyncio.to_thread(_nothing_in, frame.picture, job.settings)
        else:
            estimate = await looker.look(frame.picture, boxes)
    except _OF_THE_PICTURE as error:
        return Row(frame.file, frame.number, fault=str(error))
    return Row(frame.file, frame.number, estimate)


def _nothing_in(picture: Picture, settings: Settings) -> Estimate:
    if isinstance(picture, bytes):
        picture = decode_image(picture, settings.max_pixels, settings.allow_tiff)
    height, width = picture.shape[:2]
    return Estimate(width, height, [])


def _what(job: Job, model: LookingModel) -> dict[str, Any]:
    return {
        "format": "focalpoint predict 1",
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "options": job.asked,
        "files": {source.name: [source.size_bytes, source.modified_ns] for source in job.sources},
    }


def _position_after(last_line: bytes, sources: Sequence[Source]) -> Position:
    if not last_line:
        return Position()
    last = decode_row(last_line)
    index = [source.name for source in sources].index(last.file)
    return Position(index + 1) if last.frame is None else Position(index, last.frame + 1)
