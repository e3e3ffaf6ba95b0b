"""A graph whose network computes in 8-bit integers: static quantisation by onnxruntime, calibrated on real crops.

Activations are uint8 and weights int8 ("U8S8"), because that is the pair for which onnxruntime's x86 kernels are made.
Weights use 7 of their 8 bits: on processors without VNNI the kernels add two products in 16 bits, which 8-bit weights
overflow (onnxruntime's `reduce_range`), and a bundle must answer alike wherever it is served.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from model_export.quantization.network_part import network_nodes

_CALIBRATION_BATCH = 8
# Those that onnxruntime's CPU provider computes in integers; a Relu becomes the range of what it follows.
_OPERATORS = ["Conv", "Add", "Relu", "Concat", "MaxPool", "Resize", "MatMul", "Gemm", "GlobalAveragePool"]


def int8_graph(model: ModelProto, crops_NHW3: NDArray[np.uint8]) -> ModelProto:
    """The same graph with its network in int8; weights have a scale for each output channel.

    Args:
        model: as `export_network.onnx_graph` makes it.
        crops_NHW3: what the ranges of the activations are measured on: the least and the greatest value of each.

    Raises:
        RunError: see `network_nodes`.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is imported
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static  # noqa: PLC0415
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata  # noqa: PLC0415

    names = [node.name for node in network_nodes(model)]
    source = ModelProto()
    source.CopyFrom(model)
    # Shapes are inferred below, and the exporter has folded what can be folded: without this mark it is advised.
    add_pre_process_metadata(source)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            source,
            path,
            _Crops(model.graph.input[0].name, crops_NHW3),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=_OPERATORS,
            nodes_to_quantize=names,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        quantised = onnx.load(path)
    del quantised.metadata_props[:]
    return quantised


class _Crops:
    """The crops in batches, as onnxruntime's `CalibrationDataReader`: one after the other, then None."""

    def __init__(self, name: str, crops_NHW3: NDArray[np.uint8]) -> None:
        starts = range(0, len(crops_NHW3), _CALIBRATION_BATCH)
        self._batches = iter([{name: crops_NHW3[start : start + _CALIBRATION_BATCH]} for start in starts])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next batch, by the name of the graph's input."""
        return next(self._batches, None)
