"""The whole request flow on half a page: decode_image . crop . queue . infer . back_transform.

(`read` and `encode_response`, the two ends that know HTTP, are in `service.routes`.)
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.contract.bundle_manifest import BundleError, BundleManifest
from service.contract.crop_transform import Box, CropTransform
from service.dynamic_batching import Ran
from service.errors import InvalidParameter
from service.image_decoding import check_header, decode_image, decode_reduced
from service.loaded_model import CropAnswer, CropHW3, LoadedModel
from service.ordered_budget import OrderedBudget
from service.ordered_threads import OrderedThreads, Steps, Wait, single_step
from service.reduced_decoding import DecodedPicture, possible_reduction
from service.request_record import RequestRecord

# How far a box may reach, in longer sides of the picture: beyond, numbers overflow and the crop would show nothing.
_BOX_REACH = 8
_COPIES = 3  # of a picture that is drawn on and encoded
_SMALLEST_BOX_PIXELS = 1e-3

# A picture's place in the order for threads and memory is its arrival plus this for each pixel, about what it costs:
# a small one need not wait for the large ones before it, and a large one is not put off for ever.
_SECONDS_PER_PIXEL = 50e-9

Result = TypeVar("Result")


class Heatmaps(NamedTuple):
    """float16 (K, h, w), and the matrix (2, 3) that takes a cell (x, y, 1) to image pixels."""

    values_KHW: NDArray[np.float16]
    to_image: NDArray[np.float64]


class Instance(NamedTuple):
    """One object: the box its crop was cut around, float64 (K, 2) in image pixels, and scores (K,) in [0, 1]."""

    box: Box
    points_in_image: NDArray[np.float64]
    scores: NDArray[np.float32]
    heatmaps: Heatmaps | None = None


class Estimate(NamedTuple):
    """The answer for one picture; width and height are those of the picture as displayed."""

    width: int
    height: int
    instances: list[Instance]


class ImageLimits(NamedTuple):
    """What a picture may be, and what all of them may take.

    Attributes:
        max_heatmap_boxes: of one picture whose heatmaps are asked for.
        max_pixels: of one picture.
        max_drawn_pixels: of one picture that is drawn on.
        max_pixels_in_memory: of all pictures together.
        allow_tiff: whether TIFF files are taken.
        reduced_decoding: whether a picture is decoded at less than its size where no crop would show more.
    """

    max_heatmap_boxes: int
    max_pixels: int
    max_drawn_pixels: int
    max_pixels_in_memory: int
    allow_tiff: bool
    reduced_decoding: bool


class KeypointPipeline:
    """Pictures in, keypoints out, by whatever model; the memory for pictures is all models' together.

    Args:
        limits: of pictures.
        threads: that decode and crop.
    """

    def __init__(self, limits: ImageLimits, threads: OrderedThreads) -> None:
        self._limits = limits
        self._threads = threads
        self._pixels = OrderedBudget(limits.max_pixels_in_memory)

    async def estimate(
        self,
        model: LoadedModel,
        image_bytes: bytes,
        boxes: Sequence[Box],
        record: RequestRecord,
        deadline: float = math.inf,
        *,
        with_heatmaps: bool = False,
    ) -> Estimate:
        """Keypoints of every box in a picture; without boxes, of the one object that the whole picture shows.

        Then the model runs twice: on the whole picture, and on the box around what it found there.

        Args:
            model: which one; it must not be closed meanwhile.
            image_bytes: an encoded picture, see `decode_image`.
            boxes: in pixels of the picture as displayed.
            record: takes the times of the stages.
            deadline: by `time.perf_counter`; no crop is looked at later.
            with_heatmaps: whether to keep them; the model must have some.

        Raises:
            RequestError: the picture or a box cannot be used, there is no room, or the model failed.
        """
        limits = self._limits
        if with_heatmaps:
            check_heatmaps(model.manifest, len(boxes), limits.max_heatmap_boxes)
        header = check_header(image_bytes, limits.max_pixels, limits.allow_tiff)
        check_boxes(boxes, *header.displayed_size)
        pixels = header.width * header.height
        record.order = record.arrived + _SECONDS_PER_PIXEL * pixels

        def decode() -> DecodedPicture:
            transforms = [model.manifest.crop_transform(box) for box in boxes]
            reduce_by = possible_reduction(header, transforms) if limits.reduced_decoding else 1
            with record.stage("decode_image"):
                return decode_reduced(image_bytes, header, reduce_by)

        async with self._pixels.hold(pixels, record.order) as release_pixels:
            steps = _steps(
                decode, model, boxes, record, deadline, with_heatmaps=with_heatmaps, release_picture=release_pixels
            )
            return await self._through_threads(steps, record)

    async def estimate_decoded(
        self, model: LoadedModel, image: NDArray[np.uint8], boxes: Sequence[Box], record: RequestRecord
    ) -> Estimate:
        """As `estimate`, of an RGB picture (H, W, 3) whose memory is the caller's; nothing is ever too late.

        Raises:
            RequestError: a box cannot be used, there is no room, or the model failed.
        """
        height, width = image.shape[:2]
        check_boxes(boxes, width, height)
        picture = DecodedPicture(image, 1, width, height)
        return await self._through_threads(_steps(lambda: picture, model, boxes, record), record)

    def check_drawable(self, image_bytes: bytes) -> None:
        """Look at a picture's header only.

        Raises:
            RequestError: it cannot be used, or has more pixels than are drawn on.
        """
        check_header(image_bytes, self._limits.max_drawn_pixels, self._limits.allow_tiff)

    async def with_picture(
        self, image_bytes: bytes, work: Callable[[NDArray[np.uint8]], Result], record: RequestRecord
    ) -> Result:
        """What `work` makes of the decoded RGB picture (H, W, 3), in one of the threads; part of `encode_response`."""
        limits = self._limits
        header = check_header(image_bytes, limits.max_pixels, limits.allow_tiff)
        pixels = min(_COPIES * header.width * header.height, limits.max_pixels_in_memory)

        def draw() -> Result:
            with record.stage("encode_response"):
                return work(decode_image(image_bytes, limits.max_pixels, limits.allow_tiff))

        async with self._pixels.hold(pixels, record.order):
            return await self._through_threads(single_step(draw), record)

    async def _through_threads(self, steps: Steps[Result], record: RequestRecord) -> Result:
        flow = self._threads.run(record.order, steps)
        try:
            outcome = await asyncio.wrap_future(flow.outcome)
            record.add("queue", flow.waited_seconds)
            return outcome
        except asyncio.CancelledError:
            # A thread cannot be stopped, and until it is done its picture holds its memory, whoever else cancels.
            flow.cancel()
            ended = asyncio.ensure_future(_end_of(flow.outcome))
            while not ended.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([ended])
            raise
        finally:
            del flow, steps  # an exception's traceback refers to this frame, and the outcome to the exception


async def _end_of(outcome: Future[Any]) -> None:
    """Wait for work whose outcome nobody waits for any more."""
    await asyncio.gather(asyncio.wrap_future(outcome), return_exceptions=True)


def _steps(
    decode: Callable[[], DecodedPicture],
    model: LoadedModel,
    boxes: Sequence[Box],
    record: RequestRecord,
    deadline: float = math.inf,
    *,
    with_heatmaps: bool = False,
    release_picture: Callable[[], None] = lambda: None,
) -> Steps[Estimate]:
    """The way of a picture, from `decode` on; `release_picture` is told when it is let go."""
    picture = decode()
    width, height = picture.width, picture.height
    if not boxes:
        whole = model.manifest.whole_image_transform(picture.image)
        [coarse] = yield Wait(model.submit(_cut(picture, [whole], record), deadline))
        _note([coarse], record)
        boxes = [Box.around(whole.to_image(coarse.result.points_in_crop))]
    transforms = [model.manifest.crop_transform(box) for box in boxes]
    crops = _cut(picture, transforms, record)
    del picture
    release_picture()
    answers = yield Wait(model.submit(crops, deadline, with_heatmaps=with_heatmaps), here=True)
    _note(answers, record)
    with record.stage("back_transform"):
        of_each = zip(boxes, transforms, answers, strict=True)
        return Estimate(width, height, [_instance(model, *of_one) for of_one in of_each])


def _cut(picture: DecodedPicture, transforms: Sequence[CropTransform], record: RequestRecord) -> list[CropHW3]:
    with record.stage("crop"):
        return [transform.of_reduced(picture.reduced_by).extract(picture.image) for transform in transforms]


def _note(answers: Sequence[Ran[CropAnswer]], record: RequestRecord) -> None:
    record.add("queue", max(answer.queue_seconds for answer in answers))
    record.add("infer", max(answer.batch_seconds for answer in answers))
    record.batch_size = max(record.batch_size, *(answer.batch_size for answer in answers))


def _instance(model: LoadedModel, box: Box, transform: CropTransform, answer: Ran[CropAnswer]) -> Instance:
    points_in_image = transform.to_image(answer.result.points_in_crop)
    return Instance(box, points_in_image, answer.result.scores, _heatmaps(model, transform, answer.result))


def _heatmaps(model: LoadedModel, transform: CropTransform, answer: CropAnswer) -> Heatmaps | None:
    if answer.heatmaps is None:
        return None
    origin, right, below = transform.to_image(model.manifest.codec.to_crop(np.array([[0, 0], [1, 0], [0, 1]])))
    return Heatmaps(answer.heatmaps, np.stack([right - origin, below - origin, origin], axis=-1))


def check_heatmaps(manifest: BundleManifest, boxes: int, max_boxes: int) -> None:
    """Heatmaps are large, and not every model has them.

    Raises:
        InvalidParameter: too many are asked for, or the model has none.
    """
    try:
        _ = manifest.heatmaps
    except BundleError as error:
        raise InvalidParameter(f"heatmaps: {error}") from error
    if boxes > max_boxes:
        raise InvalidParameter(f"heatmaps: expected at most {max_boxes} boxes, found {boxes}")


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
