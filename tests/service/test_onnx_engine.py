"""The engine: what it computes, and that a bundle or a provider which is not as promised stops the start."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto

from service.contract.bundle_manifest import BundleError, file_sha256
from service.engine import EngineOutput
from service.errors import StartupError
from service.onnx_engine import OnnxEngine
from service.onnxruntime_loading import check_distributions
from tests.fakes import CROP_HEIGHT, CROP_WIDTH, FakeEngine, fake_manifest, write_bundle


def test_the_onnx_engine_agrees_with_its_numpy_twin(bundle: Path) -> None:
    engine, twin = OnnxEngine(bundle, "cpu", 1), FakeEngine()
    seconds = engine.warm_up((1, 2, 8))
    assert seconds.keys() == {1, 2, 8}
    assert min(seconds.values()) > 0
    assert engine.manifest.name == "discs"
    random = np.random.default_rng(0)
    for size in (1, 2, 7):
        crops = random.integers(0, 256, (size, CROP_HEIGHT, CROP_WIDTH, 3), dtype=np.uint8)
        found, expected = engine.run(crops), twin.run(crops)
        assert found.points_in_crop_NK2.dtype == found.scores_NK.dtype == np.float32
        # Measured: 4e-5 pixels and no difference in scores.
        assert np.abs(found.points_in_crop_NK2 - expected.points_in_crop_NK2).max() < 1e-3
        assert np.abs(found.scores_NK - expected.scores_NK).max() < 1e-6


def test_more_threads_change_no_answer_and_a_changed_bundle_gets_none(tmp_path: Path) -> None:
    engine = OnnxEngine(write_bundle(tmp_path), "cpu", 1)
    crops_NHW3 = np.random.default_rng(1).integers(0, 256, (1, CROP_HEIGHT, CROP_WIDTH, 3), np.uint8)
    found, expected = engine.widened(2).run(crops_NHW3), engine.run(crops_NHW3)
    assert np.abs(found.points_in_crop_NK2 - expected.points_in_crop_NK2).max() < 1e-3  # measured: 0
    write_bundle(tmp_path, name="other")
    with pytest.raises(BundleError, match="it changed while it was loaded"):
        engine.widened(2)


def test_threads_that_change_the_answer_are_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, right = OnnxEngine(bundle, "cpu", 1), OnnxEngine.run

    def run(self: OnnxEngine, crops_NHW3: NDArray[np.uint8]) -> EngineOutput:
        output = right(self, crops_NHW3)
        return output if self is engine else output._replace(points_in_crop_NK2=output.points_in_crop_NK2 + 0.2)

    monkeypatch.setattr(OnnxEngine, "run", run)
    with pytest.raises(StartupError, match="2 threads give another answer; start with --lone-threads 1"):
        engine.widened(2)


def test_heatmaps_come_beside_the_same_answer(bundle: Path) -> None:
    engine = OnnxEngine(bundle, "cpu", 1)
    crops_NHW3 = np.random.default_rng(5).integers(0, 256, (3, CROP_HEIGHT, CROP_WIDTH, 3), np.uint8)
    with_heatmaps, without = engine.run_with_heatmaps(crops_NHW3), engine.run(crops_NHW3)
    assert np.array_equal(with_heatmaps.points_in_crop_NK2, without.points_in_crop_NK2)
    assert without.heatmaps_NKHW is None
    expected = FakeEngine().run_with_heatmaps(crops_NHW3).heatmaps_NKHW
    assert with_heatmaps.heatmaps_NKHW is not None
    assert expected is not None
    assert np.abs(with_heatmaps.heatmaps_NKHW - expected).max() < 1e-6


def test_a_file_that_is_not_the_manifests_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    with (tmp_path / "model.onnx").open("ab") as model:
        model.write(b"\0")
    with pytest.raises(BundleError, match=r"model\.onnx: SHA-256 is"):
        OnnxEngine(tmp_path, "cpu", 1)


def test_a_model_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    fake_manifest({"model.onnx": file_sha256(tmp_path / "model.onnx")}).save(tmp_path)
    with pytest.raises(StartupError, match="onnxruntime cannot load it"):
        OnnxEngine(tmp_path, "cpu", 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input": {"tensor": "images", "width": CROP_WIDTH, "height": CROP_HEIGHT, "padding": 1}}, "one input images"),
        (
            {"input": {"width": CROP_WIDTH + 1, "height": CROP_HEIGHT, "padding": 1}, "output": {"heatmap_width": 49}},
            r"\(N, 40, 49, 3\)",
        ),
        ({"keypoints": {"names": ("red", "green")}}, r"keypoints should be float of shape \(N, 2, 2\)"),
        ({"output": {"scores_tensor": "confidence"}}, "expected an output confidence"),
        (
            {"output": {"heatmap_width": 24, "heatmap_height": 20, "stride": 2}},
            r"heatmaps should be float of shape \(N, 3, 20, 24\)",
        ),
    ],
)
def test_a_graph_that_is_not_the_manifests_is_refused(
    bundle: Path, tmp_path: Path, changes: dict[str, dict[str, object]], words: str
) -> None:
    manifest = OnnxEngine(bundle, "cpu", 1).manifest
    (tmp_path / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes())
    output = manifest.output.model_dump() | changes.pop("output", {})
    fake_manifest(manifest.sha256, output=output, **changes).save(tmp_path)
    with pytest.raises(BundleError, match=words):
        OnnxEngine(tmp_path, "cpu", 1)


def test_a_graph_with_a_fixed_batch_or_another_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expected any batch size, found the fixed size 2"):
        OnnxEngine(write_bundle(tmp_path / "fixed", batch=2), "cpu", 1)
    with pytest.raises(BundleError, match=r"crops should be uint8 .* found tensor\(float\)"):
        OnnxEngine(write_bundle(tmp_path / "float", input_type=TensorProto.FLOAT), "cpu", 1)


def test_a_provider_that_is_not_there_stops_the_start(bundle: Path) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime knows CUDA")
    with pytest.raises(StartupError, match=r"--provider cuda: .* pip install '\.\[gpu\]'"):
        OnnxEngine(bundle, "cuda", 1)


def test_exactly_one_onnxruntime() -> None:
    check_distributions({"onnxruntime"})
    check_distributions({"onnxruntime-gpu"})
    with pytest.raises(StartupError, match=r"pip install '\.\[cpu\]'"):
        check_distributions(set())
    with pytest.raises(StartupError, match="pip uninstall onnxruntime onnxruntime-gpu"):
        check_distributions({"onnxruntime", "onnxruntime-gpu"})
