"""The whole request flow on half a page: decode_image . crop . queue . infer . back_transform.

(`read` and `encode_response`, the two ends that know HTTP, are in `service.routes`.)
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.batch_sizes import BatchSizes
from service.contract.crop_transform import Box, CropTransform
from service.dynamic_batching import DynamicBatcher
from service.engine import KeypointEngine
from service.errors import InferenceFailed, InvalidParameter
from service.image_decoding import check_header, decode_image
from service.metrics import Metrics
from service.pixel_budget import PixelBudget
from service.request_record import RequestRecord, Stage

# How far a box may reach, in longer sides of the picture: beyond, numbers overflow and the crop would show nothing.
_BOX_REACH = 8
_SMALLEST_BOX_PIXELS = 1e-3

CropHW3 = NDArray[np.uint8]
Result = TypeVar("Result")


class CropAnswer(NamedTuple):
    """What the model says of one crop: float32 (K, 2) in crop pixels and (K,)."""

    points_in_crop: NDArray[np.float32]
    scores: NDArray[np.float32]


class Instance(NamedTuple):
    """One object: the box its crop was cut around, float64 (K, 2) in image pixels, and scores (K,) in [0, 1]."""

    box: Box
    points_in_image: NDArray[np.float64]
    scores: NDArray[np.float32]


class Estimate(NamedTuple):
    """The answer for one picture; width and height are those of the picture as displayed."""

    width: int
    height: int
    instances: list[Instance]


class PipelineLimits(NamedTuple):
    """Sizes of the pipeline's parts.

    Attributes:
        batch_sizes: sizes of a forward pass, ascending from 1.
        max_queue: crops that may wait.
        max_pixels: of one picture.
        max_pixels_in_memory: of all pictures together.
        allow_tiff: whether TIFF files are taken.
        decode_threads: threads that decode and crop.
        stuck_seconds: a batch that takes longer is given up.
        drain_seconds: how long the end waits for what was accepted.
    """

    batch_sizes: tuple[int, ...]
    max_queue: int
    max_pixels: int
    max_pixels_in_memory: int
    allow_tiff: bool
    decode_threads: int
    stuck_seconds: float
    drain_seconds: float


class KeypointPipeline:
    """Pictures in, keypoints out; the crops of all requests share batches. Use as a context manager."""

    def __init__(self, engine: KeypointEngine, metrics: Metrics, limits: PipelineLimits) -> None:
        self._engine = engine
        self._metrics = metrics
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.decode_threads, thread_name_prefix="decode")
        self._pixels = PixelBudget(limits.max_pixels_in_memory)
        size = engine.manifest.input
        self._slots_NHW3 = np.zeros((limits.batch_sizes[-1], size.height, size.width, 3), np.uint8)
        self._sizes = BatchSizes(limits.batch_sizes)
        self.batcher = DynamicBatcher[CropHW3, CropAnswer](
            self._infer,
            self._probe,
            sizes=self._sizes,
            max_queue=limits.max_queue,
            stuck_seconds=limits.stuck_seconds,
            observer=metrics,
        )
        metrics.watch_queue(lambda: self.batcher.depth)

    def __enter__(self) -> Self:
        """Ready when this returns: a forward pass of every size has worked, and its time is known."""
        for size, seconds in self._engine.warm_up(self._limits.batch_sizes).items():
            self._sizes.measured(size, seconds)
        self.batcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Finish what was accepted."""
        self.batcher.close(self._limits.drain_seconds)
        self._pool.shutdown(cancel_futures=True)

    async def estimate(
        self, image_bytes: bytes, boxes: Sequence[Box], record: RequestRecord, deadline: float = math.inf
    ) -> Estimate:
        """Keypoints of every box in a picture; without boxes, of the one object that the whole picture shows.

        Then the model runs twice: on the whole picture, and on the box around what it found there.

        Args:
            image_bytes: an encoded picture, see `decode_image`.
            boxes: in pixels of the picture as displayed.
            record: takes the times of the stages.
            deadline: by `time.perf_counter`; no crop is looked at later.

        Raises:
            RequestError: the picture or a box cannot be used, there is no room, or the model failed.
        """
        limits = self._limits
        header = check_header(image_bytes, limits.max_pixels, limits.allow_tiff)
        async with self._pixels.hold(header.width * header.height):
            image = await self._in_pool(
                "decode_image", record, lambda: decode_image(image_bytes, limits.max_pixels, limits.allow_tiff)
            )
            height, width = image.shape[:2]
            check_boxes(boxes, width, height)
            if boxes:
                transforms = [self._engine.manifest.crop_transform(box) for box in boxes]
            else:
                whole = self._engine.manifest.whole_image_transform(image)
                crops = await self._cut(image, [whole], record)
                [coarse] = await self._look(crops, [Box.of_image(image)], [whole], record, deadline)
                boxes = [Box.around(coarse.points_in_image)]
                transforms = [self._engine.manifest.crop_transform(boxes[0])]
            crops = await self._cut(image, transforms, record)
            del image
        return Estimate(width, height, await self._look(crops, boxes, transforms, record, deadline))

    async def _cut(
        self, image: NDArray[np.uint8], transforms: Sequence[CropTransform], record: RequestRecord
    ) -> list[CropHW3]:
        return await self._in_pool("crop", record, lambda: [transform.extract(image) for transform in transforms])

    async def _look(
        self,
        crops: list[CropHW3],
        boxes: Sequence[Box],
        transforms: Sequence[CropTransform],
        record: RequestRecord,
        deadline: float,
    ) -> list[Instance]:
        outcomes = self.batcher.submit(crops, deadline)
        answers = await asyncio.gather(*map(asyncio.wrap_future, outcomes))
        record.add("queue", max(answer.queue_seconds for answer in answers))
        record.add("infer", max(answer.batch_seconds for answer in answers))
        record.batch_size = max(record.batch_size, *(answer.batch_size for answer in answers))
        with record.stage("back_transform"):
            return [
                Instance(box, transform.to_image(answer.result.points_in_crop), answer.result.scores)
                for box, transform, answer in zip(boxes, transforms, answers, strict=True)
            ]

    def _infer(self, crops: list[CropHW3], padded: int) -> list[CropAnswer | Exception]:
        slots_NHW3 = self._slots_NHW3[:padded]
        for slot, crop in zip(slots_NHW3, crops, strict=False):
            slot[...] = crop
        slots_NHW3[len(crops) :] = 0
        output = self._engine.run(slots_NHW3)
        points_NK2, scores_NK = output.points_in_crop_NK2[: len(crops)], output.scores_NK[: len(crops)]
        finite_N = np.asarray(np.isfinite(np.dstack([points_NK2, scores_NK])).all(axis=(1, 2)))
        self._metrics.on_scores(scores_NK[finite_N])
        return [
            CropAnswer(points, scores) if finite else InferenceFailed("the model's answer is not finite")
            for points, scores, finite in zip(points_NK2, scores_NK, finite_N, strict=True)
        ]

    def _probe(self) -> None:
        self._engine.run(np.zeros_like(self._slots_NHW3[:1]))

    async def _in_pool(self, stage: Stage, record: RequestRecord, work: Callable[[], Result]) -> Result:
        def timed() -> Result:
            with record.stage(stage):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._pool, timed)


def check_boxes(boxes: Sequence[Box], width: int, height: int) -> None:
    """A box may reach outside the picture, but within reason.

    Raises:
        InvalidParameter: one reaches too far, or has no size to speak of.
    """
    reach = _BOX_REACH * max(width, height)
    for index, box in enumerate(boxes):
        numbers = [box.x, box.y, box.width, box.height]
        if max(map(abs, numbers)) > reach:
            raise InvalidParameter(
                f"boxes[{index}]: expected numbers up to {reach} for a picture of {width} x {height}, found {numbers}"
            )
        if min(box.width, box.height) < _SMALLEST_BOX_PIXELS:
            raise InvalidParameter(f"boxes[{index}]: expected at least {_SMALLEST_BOX_PIXELS} pixels, found {numbers}")
