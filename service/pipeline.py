"""The whole request flow on half a page: decode_image . crop . queue . infer . back_transform.

(`read` and `encode_response`, the two ends that know HTTP, are in `service.routes`.)
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.contract.crop_transform import Box, CropTransform
from service.dynamic_batching import DynamicBatcher
from service.engine import KeypointEngine
from service.errors import InvalidParameter
from service.image_decoding import decode_image
from service.metrics import Metrics

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


class KeypointPipeline:
    """Pictures in, keypoints out; the crops of all requests share batches. Use as a context manager."""

    def __init__(
        self,
        engine: KeypointEngine,
        metrics: Metrics,
        *,
        max_batch: int,
        max_queue: int,
        max_pixels: int,
        decode_threads: int,
        drain_seconds: float,
    ) -> None:
        self._engine = engine
        self._metrics = metrics
        self._max_batch = max_batch
        self._max_pixels = max_pixels
        self._drain_seconds = drain_seconds
        self._pool = ThreadPoolExecutor(decode_threads, thread_name_prefix="decode")
        self.batcher = DynamicBatcher[CropHW3, CropAnswer](
            self._infer, max_batch=max_batch, max_queue=max_queue, observer=metrics
        )
        metrics.watch_queue(lambda: self.batcher.depth)

    def __enter__(self) -> Self:
        """Ready when this returns: a forward pass has worked."""
        self._engine.warm_up(self._max_batch)
        self.batcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Finish what was accepted."""
        self.batcher.close(self._drain_seconds)
        self._pool.shutdown()

    async def estimate(self, image_bytes: bytes, boxes: Sequence[Box]) -> Estimate:
        """Keypoints of every box in a picture; without boxes, of the one object that the whole picture shows.

        Then the model runs twice: on the whole picture, and on the box around what it found there.

        Args:
            image_bytes: an encoded picture, see `decode_image`.
            boxes: in pixels of the picture as displayed.

        Raises:
            RequestError: the picture or a box cannot be used, there is no room, or the model failed.
        """
        image = await self._in_pool("decode_image", lambda: decode_image(image_bytes, self._max_pixels))
        height, width = image.shape[:2]
        check_boxes(boxes, width, height)
        manifest = self._engine.manifest
        if not boxes:
            [coarse] = await self._locate(image, [Box.of_image(image)], [manifest.whole_image_transform(image)])
            boxes = [Box.around(coarse.points_in_image)]
        instances = await self._locate(image, boxes, [manifest.crop_transform(box) for box in boxes])
        return Estimate(width, height, instances)

    async def _locate(
        self, image: NDArray[np.uint8], boxes: Sequence[Box], transforms: Sequence[CropTransform]
    ) -> list[Instance]:
        crops = await self._in_pool("crop", lambda: [transform.extract(image) for transform in transforms])
        answers = await asyncio.gather(*map(asyncio.wrap_future, self.batcher.submit(crops)))
        with self._metrics.stage("back_transform"):
            return list(map(_back_transform, boxes, transforms, answers))

    def _infer(self, crops: list[CropHW3]) -> list[CropAnswer]:
        with self._metrics.stage("infer"):
            output = self._engine.run(np.stack(crops))
        if not np.isfinite(output.points_in_crop_NK2).all():
            raise ValueError("the model answered points that are not finite")
        self._metrics.on_scores(output.scores_NK)
        return list(map(CropAnswer, output.points_in_crop_NK2, output.scores_NK))

    async def _in_pool(self, stage: str, work: Callable[[], Result]) -> Result:
        def timed() -> Result:
            with self._metrics.stage(stage):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._pool, timed)


def _back_transform(box: Box, transform: CropTransform, answer: CropAnswer) -> Instance:
    return Instance(box, transform.to_image(answer.points_in_crop), answer.scores)


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
