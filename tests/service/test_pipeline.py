"""The pipeline by itself, as `focalpoint predict` uses it."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from service.app import create_metrics, create_pipeline
from service.contract.crop_transform import Box
from service.engine import EngineOutput
from service.errors import InvalidParameter, NotReady
from service.pipeline import check_boxes
from service.request_record import RequestRecord
from service.settings import Settings
from tests.fakes import BOX_AROUND_CENTRES, CENTRES, FakeEngine, draw_discs, encode


def test_points_come_back_in_pixels_of_the_picture() -> None:
    engine = FakeEngine()
    boxes, record = [Box(*BOX_AROUND_CENTRES), Box(20, 10, 110, 100)], RequestRecord("id")
    with create_pipeline(Settings(), engine, create_metrics(engine)) as pipeline:
        estimate = asyncio.run(pipeline.estimate(encode(draw_discs()), boxes, record))
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
    with create_pipeline(Settings(), engine, create_metrics(engine)) as pipeline:
        record = RequestRecord("id")
        estimate = asyncio.run(pipeline.estimate(encode(draw_discs()), [], record))
    first, second = seen
    picture = draw_discs()
    assert np.array_equal(first[0], engine.manifest.whole_image_transform(picture).extract(picture))
    (instance,) = estimate.instances
    assert np.array_equal(second[0], engine.manifest.crop_transform(instance.box).extract(picture))
    assert np.abs(np.array([instance.box.x, instance.box.y]) - CENTRES.min(axis=0)).max() < 1.5
    assert np.abs(instance.points_in_image - CENTRES).max() < 0.5


def test_after_its_end_it_takes_nothing() -> None:
    engine = FakeEngine()
    pipeline = create_pipeline(Settings(), engine, create_metrics(engine))
    with pipeline:
        assert pipeline.batcher.condition == "working"
    with pytest.raises(NotReady):
        pipeline.batcher.submit([])


def test_a_pipeline_of_a_model_that_cannot_warm_up_never_starts() -> None:
    class ColdEngine(FakeEngine):
        def warm_up(self, batch_sizes: Sequence[int]) -> dict[int, float]:
            raise RuntimeError(f"no batch of {batch_sizes[-1]} fits")

    pipeline = create_pipeline(Settings(), ColdEngine(), create_metrics(FakeEngine()))
    with pytest.raises(RuntimeError, match="no batch of 16 fits"), pipeline:
        pass
    assert pipeline.batcher.condition == "dead"


def test_boxes_within_reason() -> None:
    check_boxes([Box(-800, -800, 800, 800), Box(0, 0, 0.001, 0.001)], 100, 50)
    with pytest.raises(InvalidParameter, match=r"boxes\[1\]: expected numbers up to 800"):
        check_boxes([Box(0, 0, 1, 1), Box(0, -801, 1, 1)], 100, 50)
    with pytest.raises(InvalidParameter, match=r"at least 0\.001 pixels"):
        check_boxes([Box(0, 0, 0.0009, 1)], 100, 50)
