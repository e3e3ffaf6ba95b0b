"""The two measurements of `focalpoint tune`: forward passes alone, and pictures through the server's own pipeline."""

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from service.app import batch_limits
from service.contract.crop_transform import Box
from service.engine import KeypointEngine
from service.in_process import in_process
from service.loaded_model import LoadedModel
from service.pipeline import KeypointPipeline
from service.request_record import RequestRecord
from service.settings import Settings
from service.tuning.choice import Arrangement, Candidate, Load

_FEWEST_PASSES = 3


class Picture(NamedTuple):
    """An encoded picture, and the box to look into; None: the whole picture, in two passes."""

    data: bytes
    box: Box | None


def seconds_of_a_pass(engine: KeypointEngine, arrangement: Arrangement, size: int, seconds: float) -> float:
    """The median time of a forward pass of `size` crops while as many as the arrangement says run side by side."""
    manifest = engine.manifest
    crops_NHW3 = np.random.default_rng(0).integers(
        0, 256, (size, manifest.input.height, manifest.input.width, 3), np.uint8
    )
    engines = [engine, *(engine.twin() for _ in range(arrangement.batches_at_once - 1))]
    engine.warm_up([size])
    taken: list[float] = []
    end = time.perf_counter() + seconds

    def work(one: KeypointEngine) -> None:
        passes = 0
        while passes < _FEWEST_PASSES or time.perf_counter() < end:
            started = time.perf_counter()
            one.run(crops_NHW3)
            taken.append(time.perf_counter() - started)
            passes += 1

    threads = [threading.Thread(target=work, args=(one,)) for one in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return float(np.median(taken))


def measure_load(engine: KeypointEngine, candidate: Candidate, pictures: Sequence[Picture], seconds: float) -> Load:
    """Pictures through decoding, crop, batcher, model and back-transform, without HTTP.

    Raises:
        RequestError: a picture or a box cannot be used.
    """
    settings = Settings(
        batches_at_once=candidate.arrangement.batches_at_once,
        max_batch=candidate.max_batch,
        decode_threads=candidate.decode_threads,
        max_queue=max(Settings.model_fields["max_queue"].default, candidate.in_flight),
    )
    with in_process(settings, engine, batch_limits(settings)) as (pipeline, model):
        return asyncio.run(_drive(pipeline, model, pictures, candidate.in_flight, seconds))


async def _drive(
    pipeline: KeypointPipeline, model: LoadedModel, pictures: Sequence[Picture], in_flight: int, seconds: float
) -> Load:
    taken: list[float] = []
    started = time.perf_counter()
    end = started + seconds

    async def keep_one_in_flight(first: int) -> None:
        place = first
        while place == first or time.perf_counter() < end:
            picture = pictures[place % len(pictures)]
            sent = time.perf_counter()
            await pipeline.estimate(model, picture.data, [picture.box] if picture.box else [], RequestRecord(""))
            taken.append(time.perf_counter() - sent)
            place += in_flight

    async with asyncio.TaskGroup() as group:
        for first in range(in_flight):
            group.create_task(keep_one_in_flight(first))
    return Load(len(taken) / (time.perf_counter() - started), float(np.quantile(taken, 0.99)))
