"""What a bundle's network can be converted to; each choice says what its card and golden images need to know."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from model_export.quantization.float16_graph import float16_graph, rounding_graph
from model_export.quantization.int8_graph import int8_graph

Target = Literal["int8", "float16"]


class Conversion(NamedTuple):
    """One way to compute in fewer bits.

    Attributes:
        convert: a graph in float32 and uint8 crops (N, H, W, 3) to the graph that is written.
        measured_as: a graph in float32 and the one that is written to the one whose accuracy is measured.
        calibration_crops: how many training crops it wants.
        golden_tolerance_in_cells: how far golden keypoints may lie off, in heatmap cells, see `write_golden_images`.
        method: for the card.
    """

    convert: Callable[[ModelProto, NDArray[np.uint8]], ModelProto]
    measured_as: Callable[[ModelProto, ModelProto], ModelProto]
    calibration_crops: int
    golden_tolerance_in_cells: float
    method: str


CONVERSIONS: dict[Target, Conversion] = {
    "int8": Conversion(
        convert=int8_graph,
        measured_as=lambda _model, converted: converted,
        calibration_crops=256,
        # Integer kernels and the same graph computed in float32 differed by up to 0.4 cells in a keypoint.
        golden_tolerance_in_cells=0.5,
        method="uint8 activations, int8 weights of 7 bits with a scale for each output channel, ranges from the least "
        "and greatest values on training crops; preparation of the crops and decoding in float32",
    ),
    "float16": Conversion(
        convert=lambda model, _crops: float16_graph(model),
        measured_as=lambda model, _converted: rounding_graph(model),
        calibration_crops=0,
        # Rounding at other places moved a keypoint by up to 0.03 cells; GPUs add up in orders of their own.
        golden_tolerance_in_cells=0.25,
        method="float16 weights and activations, preparation of the crops and decoding in float32; measured on a CPU "
        "with every result of the network rounded to float16, as a GPU rounds it",
    ),
}
