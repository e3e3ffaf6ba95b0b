"""What an ONNX file says of itself: names, types and shapes of its tensors, and whether it takes several crops.

Read through onnxruntime, for the base install has no `onnx`.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from service.errors import StartupError
from service.onnx_engine import create_session, errors_of_onnxruntime

_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
# A side that the graph leaves open: what is given or read elsewhere fills it.
Size = tuple[int, int]


class OnnxTensors(NamedTuple):
    """The tensors of a file for one picture each.

    Attributes:
        name: of the input.
        dtype: `float32` or `uint8`.
        layout: `NCHW` or `NHWC`.
        size: width and height of the crop in pixels.
        batch: `any` or `one`.
        batch_source: how that is known.
        outputs: name -> shape of an output for one crop, without the batch.
    """

    name: str
    dtype: str
    layout: str
    size: Size
    batch: str
    batch_source: str
    outputs: dict[str, tuple[int, ...]]


class OnnxFile:
    """A session on an ONNX file.

    Raises:
        StartupError: there is no such file, onnxruntime is not there or cannot load it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise StartupError(f"{path}: there is no such file")
        self._session = create_session(path, "cpu", 1)
        self._errors = errors_of_onnxruntime()

    def output_names(self) -> list[str]:
        """The names of the graph's outputs."""
        return [output.name for output in self._session.get_outputs()]

    def fixed_size(self) -> Size | None:
        """Width and height of the input where the graph fixes them.

        Raises:
            StartupError: the file has not one input that holds pictures.
        """
        tensor, layout = self._input()
        height, width = tensor.shape[1:3] if layout == "NHWC" else tensor.shape[2:4]
        return (width, height) if isinstance(width, int) and isinstance(height, int) else None

    def tensors(self, size: Size) -> OnnxTensors:
        """The tensors with all sizes known: the graph is run once on black, and once on two crops where it takes any.

        Raises:
            StartupError: it cannot be run, or its batch size is fixed at another number than 1.
        """
        tensor, layout = self._input()
        dtype = _DTYPES[tensor.type]
        batch = tensor.shape[0]
        if isinstance(batch, int) and batch != 1:
            raise StartupError(f"{self.path}: expected a batch size of 1 or any, found the fixed size {batch}")
        outputs = self._run(tensor.name, dtype, layout, size, 1)
        if isinstance(outputs, str):
            raise StartupError(f"{self.path}: it does not run on a crop of {size[0]} x {size[1]} ({outputs})")
        batch, source = (
            ("one", "read from the graph") if batch == 1 else self._try_two(tensor.name, dtype, layout, size)
        )
        shapes = {name: tuple(array.shape[1:]) for name, array in outputs.items()}
        return OnnxTensors(tensor.name, dtype, layout, size, batch, source, shapes)

    def _try_two(self, name: str, dtype: str, layout: str, size: Size) -> tuple[str, str]:
        """Graphs may say that they take any batch and be traced for one."""
        outputs = self._run(name, dtype, layout, size, 2)
        if isinstance(outputs, str) or any(len(array) != 2 for array in outputs.values()):
            return "one", "measured: the graph says that it takes any batch, and fails on two crops"
        return "any", "measured: two crops at once work"

    def _run(self, name: str, dtype: str, layout: str, size: Size, batch: int) -> dict[str, Any] | str:
        """The outputs for black crops, or why there are none."""
        width, height = size
        shape = (batch, height, width, 3) if layout == "NHWC" else (batch, 3, height, width)
        try:
            arrays = self._session.run(None, {name: np.zeros(shape, dtype)})
        except self._errors as error:
            return str(error)
        return {output.name: array for output, array in zip(self._session.get_outputs(), arrays, strict=True)}

    def _input(self) -> tuple[Any, str]:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise StartupError(f"{self.path}: expected one input, found {[tensor.name for tensor in inputs]}")
        (tensor,) = inputs
        if tensor.type not in _DTYPES:
            raise StartupError(f"{self.path}: expected an input of float32 or uint8, found {tensor.type}")
        if len(tensor.shape) == 4:
            if tensor.shape[1] == 3:
                return tensor, "NCHW"
            if tensor.shape[3] == 3:
                return tensor, "NHWC"
        raise StartupError(f"{self.path}: expected pictures [N, 3, H, W] or [N, H, W, 3], found {tensor.shape}")
