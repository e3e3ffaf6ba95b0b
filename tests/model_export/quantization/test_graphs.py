"""The converted graphs: which part is converted, what type it has then, and that the answers stay near."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from model_export.errors import RunError
from model_export.quantization.float16_graph import float16_graph, rounding_graph
from model_export.quantization.int8_graph import int8_graph
from model_export.quantization.network_part import network_nodes
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.contract.crop_transform import Box
from service.contract.golden_images import GOLDEN_FOLDER, load_golden_images
from service.image_decoding import decode_image
from tests.fakes import write_bundle

FACE68 = Path(__file__).parents[3] / "models" / "face68"


@pytest.fixture(scope="module")
def model() -> ModelProto:
    return onnx.load(FACE68 / MODEL_FILE)


@pytest.fixture(scope="module", name="crops_NHW3")
def face_crops() -> NDArray[np.uint8]:
    """The golden face in boxes that differ by a few pixels."""
    (golden,) = load_golden_images(FACE68)
    image = decode_image((FACE68 / GOLDEN_FOLDER / golden.image).read_bytes(), 10**7)
    manifest, (x, y, width, height) = BundleManifest.load(FACE68), golden.box
    boxes = [Box(x + 4 * dx, y + 4 * dy, width, height) for dx in range(-1, 2) for dy in range(-1, 2)]
    return np.stack([manifest.crop_transform(box).extract(image) for box in boxes])


def run(model: ModelProto, crops_NHW3: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = ["keypoints", "scores", "heatmaps"]
    return dict(zip(names, session.run(names, {"crops": crops_NHW3}), strict=True))


def operators(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def worst_point(found: dict[str, NDArray[np.float32]], expected: dict[str, NDArray[np.float32]]) -> float:
    return float(np.linalg.norm(found["keypoints"] - expected["keypoints"], axis=-1).max())


def test_the_network_is_all_between_preparation_and_decoding(model: ModelProto) -> None:
    everything, network = operators(model), [node.op_type for node in network_nodes(model)]
    assert network.count("Conv") == everything.count("Conv") == 26
    assert network[0] == network[-1] == "Conv"
    first = everything.index("Conv")
    assert everything[:first] == ["Transpose", "Cast", "Sub", "Div"]
    assert everything[first + len(network) :][:2] == ["Reshape", "Softmax"]


def test_int8_has_a_scale_for_each_channel_and_seven_bits(model: ModelProto, crops_NHW3: NDArray[np.uint8]) -> None:
    converted = int8_graph(model, crops_NHW3)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in converted.graph.initializer}
    kernels = {name: value for name, value in weights.items() if value.ndim == 4}
    assert len(kernels) == 26
    for name, kernel in kernels.items():
        assert kernel.dtype == np.int8
        assert np.abs(kernel.astype(int)).max() <= 64, "the 8th bit overflows without VNNI"
        assert weights[name.replace("_quantized", "_scale")].shape == (len(kernel),)
    assert not converted.metadata_props


def test_int8_answers_alike_and_decodes_in_float32(model: ModelProto, crops_NHW3: NDArray[np.uint8]) -> None:
    converted = int8_graph(model, crops_NHW3)
    found, expected = run(converted, crops_NHW3), run(model, crops_NHW3)
    # Measured: 0.27 crop pixels, 0.11 in a score. What does not change at all was not converted.
    assert 0.01 < worst_point(found, expected) < 0.8
    assert np.abs(found["scores"] - expected["scores"]).max() < 0.25
    inputs = {node.name: list(node.input) for node in converted.graph.node}
    for node in list(model.graph.node)[-20:]:  # decoding, but for the node that reads the network's last result
        assert inputs[node.name] == list(node.input)


def test_float16_is_cast_to_at_the_two_borders_only(model: ModelProto, crops_NHW3: NDArray[np.uint8]) -> None:
    converted = float16_graph(model)
    onnx.checker.check_model(converted, full_check=True)
    assert operators(converted).count("Cast") == operators(model).count("Cast") + 2
    kernels = [tensor for tensor in converted.graph.initializer if len(tensor.dims) == 4]
    assert {tensor.data_type for tensor in kernels} == {TensorProto.FLOAT16}
    assert len(kernels) == 26
    assert [tensor.type for tensor in converted.graph.output] == [tensor.type for tensor in model.graph.output]
    # Measured: 0.005 crop pixels.
    assert 0 < worst_point(run(converted, crops_NHW3), run(model, crops_NHW3)) < 0.02


def test_rounding_every_result_is_seen(model: ModelProto, crops_NHW3: NDArray[np.uint8]) -> None:
    """Or a float16 bundle would be measured with the arithmetic of float32."""
    before, on_cpu, rounded = (run(graph, crops_NHW3) for graph in (model, float16_graph(model), rounding_graph(model)))
    # Measured: 0.005 and 0.009 crop pixels.
    assert worst_point(on_cpu, before) < worst_point(rounded, before) < 0.04


def shapes_graph(scale: float = 1.0) -> ModelProto:
    """A network that starts and ends with a Resize's picture, answers a map as it is and reads a shape of it."""

    def constant(name: str, values: object) -> TensorProto:
        return numpy_helper.from_array(np.asarray(values, np.float32), name)

    nodes = [
        helper.make_node("Cast", ["crops"], ["picture"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["picture", "network.gain"], ["light"], name="gain"),
        helper.make_node("Resize", ["light", "", "scales"], ["twice"], name="resize", mode="nearest"),
        helper.make_node("Shape", ["twice"], ["size"], name="shape"),
        helper.make_node("Add", ["twice", "network.offset"], ["heatmaps"], name="offset"),
        helper.make_node("Reshape", ["heatmaps", "size"], ["keypoints"], name="same"),
        helper.make_node("Identity", ["keypoints"], ["scores"], name="identity"),
    ]
    constants = [
        constant("network.gain", [[[[scale]]]]),
        constant("network.offset", [[[[0.5]]]]),
        constant("scales", [1, 1, 2, 2]),
    ]
    value = helper.make_tensor_value_info
    outputs = [value(name, TensorProto.FLOAT, ["N", 3, "h", "w"]) for name in ("keypoints", "scores", "heatmaps")]
    crops = value("crops", TensorProto.UINT8, ["N", 3, 4, 4])
    graph = helper.make_graph(nodes, "shapes", [crops], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_float16_leaves_outputs_shapes_and_scales_alone() -> None:
    model = shapes_graph()
    converted = float16_graph(model)
    onnx.checker.check_model(converted, full_check=True)
    crops = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    found, expected = run(converted, crops), run(model, crops)
    for name in expected:
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], expected[name])
    types = {tensor.name: tensor.data_type for tensor in converted.graph.initializer}
    assert types["scales"] == TensorProto.FLOAT
    assert types["network.gain_float16"] == TensorProto.FLOAT16


def test_a_weight_beyond_float16_is_named() -> None:
    with pytest.raises(RunError, match=r"network\.gain: expected weights up to 65504.* found 100000"):
        float16_graph(shapes_graph(scale=1e5))


def test_a_graph_of_others_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no weights called network\.\*"):
        network_nodes(onnx.load(write_bundle(tmp_path) / MODEL_FILE))
