"""Several pictures of one request: each has its answer or its problem in its place."""

import asyncio
from collections.abc import Sequence

from service.errors import RequestError
from service.loaded_model import LoadedModel
from service.metrics import Metrics
from service.pipeline import Estimate, KeypointPipeline
from service.request_reading import KeypointsInput
from service.request_record import RequestRecord


async def estimate_several(
    pipeline: KeypointPipeline,
    model: LoadedModel,
    inputs: Sequence[KeypointsInput | RequestError],
    record: RequestRecord,
    deadline: float,
    *,
    images_at_once: int,
    metrics: Metrics,
) -> list[Estimate | RequestError]:
    """The outcome of each input, in order; an input that is an error already stays one.

    Args:
        pipeline: that they go through.
        model: which one.
        inputs: pictures with their boxes.
        record: takes the times of all of them.
        deadline: by `time.perf_counter`.
        images_at_once: how many are worked on at a time, so that one request cannot fill the queue alone.
        metrics: counts the problems.
    """
    parts = [RequestRecord(record.request_id) for _ in inputs]
    a_few = asyncio.Semaphore(images_at_once)

    async def estimate(one: KeypointsInput | RequestError, part: RequestRecord) -> Estimate | RequestError:
        try:
            if isinstance(one, RequestError):
                raise one
            async with a_few:
                return await pipeline.estimate(model, one.image_bytes, one.boxes, part, deadline)
        except RequestError as error:
            metrics.rejected(error.reason)
            return error

    estimates = await asyncio.gather(*map(estimate, inputs, parts))
    for part in parts:
        record.merge(part)
    return estimates
