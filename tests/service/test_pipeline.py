"""The pipeline by itself, as `focalpoint predict` uses it."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service import pipeline as pipeline_module
from service.app import batch_limits, create_pipeline, create_threads
from service.contract.crop_transform import Box
from service.engine import EngineOutput, KeypointEngine
from service.errors import InferenceFailed, InvalidParameter, NotReady
from service.image_decoding import decode_reduced
from service.loaded_model import LoadedModel, start_model
from service.metrics import Metrics
from service.pipeline import Estimate, KeypointPipeline, check_boxes
from service.reduced_decoding import DecodedPicture
from service.request_record import RequestRecord
from service.settings import Settings
from tests.fakes import BOX_AROUND_CENTRES, CENTRES, FakeEngine, draw_discs, encode


@contextmanager
def started(engine: KeypointEngine, settings: Settings | None = None) -> Iterator[tuple[KeypointPipeline, LoadedModel]]:
    """A pipeline, and the engine as a model that takes crops until the block ends."""
    settings = settings or Settings()
    with create_threads(settings) as threads:
        model = start_model(engine, Path("discs"), batch_limits(settings), Metrics(), threads)
        try:
            yield create_pipeline(settings, threads), model
        finally:
            model.close()


def test_points_come_back_in_pixels_of_the_picture() -> None:
    engine = FakeEngine()
    boxes, record = [Box(*BOX_AROUND_CENTRES), Box(20, 10, 110, 100)], RequestRecord("id")
    with started(engine) as (pipeline, model):
        estimate = asyncio.run(pipeline.estimate(model, encode(draw_discs()), boxes, record))
    assert (estimate.width, estimate.height) == (160, 120)
    assert [instance.box for instance in estimate.instances] == boxes
    for instance in estimate.instances:
        assert np.abs(instance.points_in_image - CENTRES).max() < 0.5
        assert instance.scores.shape == (3,)
    assert set(record.stages) == {"decode_image", "crop", "queue", "infer", "back_transform"}
    assert record.batch_size in {1, 2}


def test_without_boxes_the_answer_comes_from_the_box_around_the_first_look() -> None:
    seen: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []

    class Watched(FakeEngine):
        def run(self, crops_NHW3: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> EngineOutput:
            seen.append(crops_NHW3.copy())
            return super().run(crops_NHW3)

    engine = Watched()
    with started(engine) as (pipeline, model):
        record = RequestRecord("id")
        estimate = asyncio.run(pipeline.estimate(model, encode(draw_discs()), [], record))
    first, second = seen
    picture = draw_discs()
    assert np.array_equal(first[0], engine.manifest.whole_image_transform(picture).extract(picture))
    (instance,) = estimate.instances
    assert np.array_equal(second[0], engine.manifest.crop_transform(instance.box).extract(picture))
    assert np.abs(np.array([instance.box.x, instance.box.y]) - CENTRES.min(axis=0)).max() < 1.5
    assert np.abs(instance.points_in_image - CENTRES).max() < 0.5


@pytest.mark.parametrize(("lone_threads", "expected"), [(1, [0, 2]), (3, [2, 0])])
def test_a_lone_picture_gets_the_engine_with_more_threads(lone_threads: int, expected: list[int]) -> None:
    wide = FakeEngine()

    class Narrow(FakeEngine):
        def widened(self, threads: int) -> FakeEngine:
            assert threads == lone_threads
            return wide

    narrow = Narrow()
    settings = Settings(decode_threads=1, intra_op_threads=1, lone_threads=lone_threads)
    with started(narrow, settings) as (pipeline, model):
        asyncio.run(pipeline.estimate(model, encode(draw_discs()), [], RequestRecord("id")))
    assert [len(wide.batch_sizes), len(narrow.batch_sizes)] == expected


def test_a_model_that_is_closed_takes_nothing() -> None:
    with started(FakeEngine()) as (_, model):
        assert model.batcher.condition == "working"
    with pytest.raises(NotReady):
        model.batcher.submit([])


def batcher_threads() -> int:
    return sum(thread.name.startswith("batcher") for thread in threading.enumerate())


def test_a_model_that_cannot_warm_up_never_starts() -> None:
    class ColdEngine(FakeEngine):
        def warm_up(self, batch_sizes: Sequence[int]) -> dict[int, float]:
            raise RuntimeError(f"no batch of {batch_sizes[-1]} fits")

    before = batcher_threads()
    with pytest.raises(RuntimeError, match="no batch of 16 fits"), started(ColdEngine()):
        pass
    assert batcher_threads() <= before


def test_a_closed_model_is_gone_without_the_garbage_collector() -> None:
    engine = FakeEngine()
    gone = weakref.ref(engine)
    gc.disable()
    try:
        with started(engine) as (_, model):
            assert model.manifest is engine.manifest
        del engine, model
        give_up = time.monotonic() + 5
        while gone() is not None:  # the watchdog's thread lets go of it last
            assert time.monotonic() < give_up
            time.sleep(0.01)
    finally:
        gc.enable()


def test_boxes_within_reason() -> None:
    check_boxes([Box(-800, -800, 800, 800), Box(0, 0, 0.001, 0.001)], 100, 50)
    with pytest.raises(InvalidParameter, match=r"boxes\[1\]: expected numbers up to 800"):
        check_boxes([Box(0, 0, 1, 1), Box(0, -801, 1, 1)], 100, 50)
    with pytest.raises(InvalidParameter, match=r"at least 0\.001 pixels"):
        check_boxes([Box(0, 0, 0.0009, 1)], 100, 50)


def test_a_cancelled_picture_holds_its_memory_until_its_thread_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    decoding, most = 0, 0
    lock = threading.Lock()

    def slow_decode(*arguments: Any) -> DecodedPicture:
        nonlocal decoding, most
        with lock:
            decoding += 1
            most = max(most, decoding)
        time.sleep(0.05)
        with lock:
            decoding -= 1
        return decode_reduced(*arguments)

    monkeypatch.setattr(pipeline_module, "decode_reduced", slow_decode)
    picture = encode(draw_discs())
    settings = Settings(decode_threads=8, max_pixels=2 * 160 * 120, max_pixels_in_memory=2 * 160 * 120)

    async def run(ask: Callable[[], Coroutine[Any, Any, Estimate]]) -> None:
        for _ in range(4):
            tasks = [asyncio.create_task(ask()) for _ in range(4)]
            await asyncio.sleep(0.02)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    with started(FakeEngine(), settings) as (pipeline, model):
        asyncio.run(run(lambda: pipeline.estimate(model, picture, [], RequestRecord("id"))))
    assert most == 2


def test_the_wait_for_a_thread_is_part_of_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_decode(*arguments: Any) -> DecodedPicture:
        time.sleep(0.1)
        return decode_reduced(*arguments)

    monkeypatch.setattr(pipeline_module, "decode_reduced", slow_decode)
    picture, records = encode(draw_discs()), [RequestRecord("first"), RequestRecord("second")]

    async def ask(pipeline: KeypointPipeline, model: LoadedModel) -> None:
        await asyncio.gather(*(pipeline.estimate(model, picture, [], record) for record in records))

    with started(FakeEngine(), Settings(decode_threads=1)) as (pipeline, model):
        asyncio.run(ask(pipeline, model))
    first, second = (record.stages["queue"] for record in records)
    assert second > 0.1  # as long as the first one was decoded
    assert first > 0  # and it waits in turn, until the second is decoded, for its batch


def test_a_picture_whose_flow_fails_is_gone_without_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pixels(np.ndarray[Any, Any]):
        """An array that can be referred to weakly."""

    pictures: list[weakref.ref[Any]] = []

    def decode(*arguments: Any) -> DecodedPicture:
        picture = decode_reduced(*arguments)
        image = picture.image.view(Pixels)
        pictures.append(weakref.ref(image))
        return picture._replace(image=image)

    def broken(_: Any) -> None:
        raise ValueError("out of memory")

    async def ask(pipeline: KeypointPipeline, model: LoadedModel) -> None:
        with pytest.raises(InferenceFailed):
            await pipeline.estimate(model, encode(draw_discs()), [], RequestRecord("id"))

    monkeypatch.setattr(pipeline_module, "decode_reduced", decode)
    gc.disable()
    try:
        with started(FakeEngine(before_run=broken)) as (pipeline, model):
            asyncio.run(ask(pipeline, model))
            assert [picture() for picture in pictures] == [None]
    finally:
        gc.enable()


def test_a_second_cancellation_waits_for_the_thread_too(monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def slow_decode(*arguments: Any) -> DecodedPicture:
        entered.set()
        assert go_on.wait(10)
        return decode_reduced(*arguments)

    monkeypatch.setattr(pipeline_module, "decode_reduced", slow_decode)

    async def ask(pipeline: KeypointPipeline, model: LoadedModel) -> None:
        asking = asyncio.create_task(pipeline.estimate(model, encode(draw_discs()), [], RequestRecord("id")))
        assert await asyncio.to_thread(entered.wait, 10)
        for _ in range(2):
            asking.cancel()
            await asyncio.sleep(0.02)
            assert not asking.done()
        go_on.set()
        await asyncio.wait([asking], timeout=10)
        assert asking.cancelled()

    with started(FakeEngine()) as (pipeline, model):
        asyncio.run(ask(pipeline, model))
