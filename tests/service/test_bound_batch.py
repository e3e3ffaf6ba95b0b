"""IO binding on the CPU: the same answers through tensors that stay where they are. No GPU is needed, or seen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.bound_batch import BoundBatch, graph_options
from service.cuda_options import CudaOptions
from service.errors import InvalidSetting, StartupError
from service.onnx_engine import OnnxEngine
from service.settings import read_settings
from tests.fakes import CROP_HEIGHT, CROP_WIDTH

SIZES = (1, 2, 4)


def random_crops(size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (size, CROP_HEIGHT, CROP_WIDTH, 3), np.uint8)


@pytest.fixture
def bound_engine(bundle: Path) -> OnnxEngine:
    engine = OnnxEngine(bundle, "cpu", 1, io_binding=True)
    assert engine.warm_up(SIZES).keys() == set(SIZES)
    return engine


def assert_same(found: Any, expected: Any) -> None:
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)


def test_bound_batches_answer_as_unbound_ones(bundle: Path, bound_engine: OnnxEngine) -> None:
    plain = OnnxEngine(bundle, "cpu", 1)
    for size in (*SIZES, 3):  # 3 was not warmed up
        crops = random_crops(size)
        assert_same(bound_engine.run(crops)[:2], plain.run(crops)[:2])
        assert_same(bound_engine.run_with_heatmaps(crops), plain.run_with_heatmaps(crops))


def test_an_answer_outlives_the_next_batch_in_the_same_buffers(bound_engine: OnnxEngine) -> None:
    places = {size: bound.addresses for size, bound in bound_engine._bound.items()}
    assert len({address for addresses in places.values() for address in addresses}) == 3 * len(SIZES)
    first = bound_engine.run(random_crops(2, seed=1))
    kept = first.points_in_crop_NK2.copy()
    second = bound_engine.run(random_crops(2, seed=2))
    assert np.array_equal(first.points_in_crop_NK2, kept)
    assert not np.array_equal(second.points_in_crop_NK2, kept)
    assert {size: bound.addresses for size, bound in bound_engine._bound.items()} == places


def test_a_twin_has_buffers_of_its_own(bound_engine: OnnxEngine) -> None:
    twin = bound_engine.twin()
    mine, its = ({*engine._bound[2].addresses} for engine in (bound_engine, twin))
    assert not mine & its
    crops = random_crops(2)
    assert_same(twin.run(crops)[:2], bound_engine.run(crops)[:2])


def test_a_replay_of_an_old_input_stops_the_start(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundBatch, "run", stale_run(BoundBatch.run))
    with pytest.raises(StartupError, match=r"discs: 1 crops in buffers that are used again .* without --cuda-graphs"):
        OnnxEngine(bundle, "cpu", 1, io_binding=True).warm_up(SIZES)


def stale_run(run: Any) -> Any:
    """What a graph does that was recorded on another address: it answers for the first input for ever."""
    inputs: dict[int, NDArray[Any]] = {}
    return lambda self, tensor: run(self, inputs.setdefault(id(self), tensor))


def test_on_a_cpu_nothing_is_bound_unless_asked(bundle: Path) -> None:
    engine = OnnxEngine(bundle, "cpu", 1)
    engine.warm_up(SIZES)
    assert not engine._bound


def test_each_size_names_its_graph_and_unbound_passes_none() -> None:
    entry = "gpu_graph_id"
    assert graph_options(8).get_run_config_entry(entry) == "8"
    assert graph_options().get_run_config_entry(entry) == "-1"


def test_settings_reach_the_cuda_provider() -> None:
    plain, full = CudaOptions().of_provider(), CudaOptions(graphs=True, memory_bytes=2**31).of_provider()
    assert full.items() - plain.items() == {("enable_cuda_graph", "1"), ("gpu_mem_limit", "2147483648")}
    assert plain.items() < full.items()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"cuda_graphs": True}, "cuda_graphs: expected provider cuda with it, found cpu"),
        ({"lone_threads": 2, "provider": "cuda"}, "lone_threads: expected provider cpu with it, found cuda"),
        ({"gpu_memory_bytes": 10**9}, "gpu_memory_bytes: expected provider cuda"),
        ({"cuda_graphs": True, "provider": "cuda", "batches_at_once": 2}, "expected 1 with cuda_graphs.* found 2"),
    ],
)
def test_settings_of_the_gpu_that_do_not_fit(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSetting, match=words):
        read_settings(**flags)
