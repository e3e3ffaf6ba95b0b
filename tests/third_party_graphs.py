"""Pose files as other projects export them, small and with known answers: keypoint k lies where colour k is bright.

A graph undoes the normalisation that its origin asks for, finds the centre of mass of red, green and blue, and answers
what that origin's network learnt to answer for a keypoint there: Gaussians, rows of SimCC, coordinates.
Whatever the service does otherwise than the origin (order of channels, mean, warp, cells, bins) moves the keypoints.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save_model

K = 3  # red, green, blue
IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)

_FLOAT, _INT = np.float32, np.int64


@dataclass
class _Graph:
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def constant(self, values: Any, dtype: Any = _FLOAT) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def centres(self, crops: str, width: int, height: int, channels: Sequence[int], mean: Any, std: Any) -> list[str]:
        """Centres of mass along x and along y, each [N, K, 1], in crop pixels."""
        undone = self.node("Mul", crops, self.constant(np.reshape(std, (1, 3, 1, 1))))
        undone = self.node("Add", undone, self.constant(np.reshape(mean, (1, 3, 1, 1))))
        ordered = self.node("Gather", undone, self.constant(channels, _INT), axis=1)
        # Noise counts only where there is nothing else: a colour that is not there is found in the noise.
        bright = self.node("Relu", self.node("Sub", ordered, self.constant(4.0)))
        light = self.node("Add", bright, self.node("Mul", ordered, self.constant(1e-6)))
        mass = self.node("ReduceSum", light, self.constant([2, 3], _INT), keepdims=0)
        mass = self.node("Add", self.node("Unsqueeze", mass, self.constant([2], _INT)), self.constant(1e-3))
        places = []
        for axis, size in ((2, width), (3, height)):
            profile = self.node("ReduceSum", light, self.constant([axis], _INT), keepdims=0)
            moment = self.node("MatMul", profile, self.constant(np.arange(size)[:, None]))
            places.append(self.node("Div", moment, mass))
        return places

    def bells(self, places: str, scale: float, size: int, sigma: float, peak: float = 1.0, output: str = "") -> str:
        """Gaussians [N, K, size] around places / scale."""
        cells = self.node("Div", places, self.constant(scale))
        away = self.node("Sub", self.constant(np.arange(size)), cells)
        bell = self.node("Exp", self.node("Mul", self.node("Mul", away, away), self.constant(-0.5 / sigma**2)))
        return self.node("Mul", bell, self.constant(peak), output=output)

    def save(self, path: Path, tensors: dict[str, Sequence[Any]], input_name: str) -> Path:
        values = {
            name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in tensors.items()
        }
        outputs = [value for name, value in values.items() if name != input_name]
        graph = helper.make_graph(self.nodes, "third_party", [values[input_name]], outputs, self.constants)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
        return path


@dataclass(frozen=True)
class Preparation:
    """How an origin feeds its networks: crop size, the channels of red, green and blue, mean and std over 0..255."""

    width: int = 192
    height: int = 256
    channels: tuple[int, int, int] = (0, 1, 2)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    batch: str | int = "batch"
    input_name: str = "input"

    def begin(self) -> tuple[_Graph, list[str]]:
        graph = _Graph()
        return graph, graph.centres(self.input_name, self.width, self.height, self.channels, self.mean, self.std)

    def input_shape(self) -> list[Any]:
        return [self.batch, 3, self.height, self.width]


def write_heatmaps(
    path: Path, feed: Preparation, *, udp: bool = False, output: str = "output", peak: float = 1.0
) -> Path:
    """One tensor [N, K, H / 4, W / 4]: a keypoint x lies in cell x / 4, or with UDP in x (W / 4 - 1) / (W - 1)."""
    graph, centres = feed.begin()
    rows = []
    for places, size in zip(centres, (feed.width, feed.height), strict=True):
        cells = size // 4
        rows.append(graph.bells(places, (size - 1) / (cells - 1) if udp else 4.0, cells, sigma=2.0))
    down = graph.node("Unsqueeze", rows[1], graph.constant([3], _INT))
    across = graph.node("Unsqueeze", rows[0], graph.constant([2], _INT))
    graph.node("Mul", graph.node("MatMul", down, across), graph.constant(peak), output=output)
    shape = [feed.batch, K, feed.height // 4, feed.width // 4]
    return graph.save(path, {feed.input_name: feed.input_shape(), output: shape}, feed.input_name)


def write_simcc(
    path: Path,
    feed: Preparation,
    *,
    peaks: tuple[float, float] = (0.9, 0.5),
    outputs: tuple[str, str] = ("simcc_x", "simcc_y"),
) -> Path:
    """Two tensors [N, K, 2 W] and [N, K, 2 H] with those peaks: a keypoint x lies in bin 2 x."""
    graph, centres = feed.begin()
    shapes: dict[str, Sequence[Any]] = {feed.input_name: feed.input_shape()}
    for name, places, size, peak in zip(outputs, centres, (feed.width, feed.height), peaks, strict=True):
        graph.bells(places, 0.5, 2 * size, sigma=6.0, peak=peak, output=name)
        shapes[name] = [feed.batch, K, 2 * size]
    return graph.save(path, shapes, feed.input_name)


def write_coordinates(
    path: Path, feed: Preparation, *, normalized: bool, score: float | None = None, outputs: Sequence[str] = ("points",)
) -> Path:
    """[N, K, 2], or [N, K, 3] with a score, or with a second name a tensor [N, K, 1] of scores."""
    graph, centres = feed.begin()
    sizes = (feed.width, feed.height) if normalized else (1, 1)
    parts = [
        graph.node("Div", places, graph.constant(float(size))) for places, size in zip(centres, sizes, strict=True)
    ]
    shapes: dict[str, Sequence[Any]] = {feed.input_name: feed.input_shape()}
    if score is not None:
        nothing = graph.node("Mul", parts[0], graph.constant(0.0))
        last = graph.node("Add", nothing, graph.constant(score), output=outputs[1] if len(outputs) > 1 else "")
        if len(outputs) > 1:
            shapes[outputs[1]] = [feed.batch, K, 1]
        else:
            parts.append(last)
    graph.node("Concat", *parts, output=outputs[0], axis=2)
    shapes[outputs[0]] = [feed.batch, K, len(parts)]
    return graph.save(path, shapes, feed.input_name)


def draw_colours(centres: NDArray[np.float64], width: int, height: int) -> NDArray[np.uint8]:
    """A black RGB picture with a soft spot of colour k around centre k, symmetric to a hundredth of a pixel."""
    x, y = np.arange(width)[None, :], np.arange(height)[:, None]
    spots = [np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 3.0**2)) for cx, cy in centres]
    return np.stack([np.round(255 * spot) for spot in spots], axis=-1).astype(np.uint8)
