"""Forward passes of one batch size through tensors that stay where they are: onnxruntime's IO binding.

On a GPU nothing is allocated then for a batch, and its kernels see the same addresses each time, which is what a CUDA
graph replays. On a CPU it gains nothing (docs/performance.md) and is there to be tested.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.onnxruntime_loading import import_onnxruntime

_NO_GRAPH = -1


class BoundBatch:
    """Not thread-safe, and two of one session must not run at once where they have graphs.

    Args:
        session: of onnxruntime.
        device: `cpu` or `cuda`, where its tensors are to lie.
        feeds: the input's name, and an array of its shape and type.
        answers: the outputs' names, and arrays of their shapes and types.
        graph: number of the CUDA graph that this batch size is recorded as, unique in the session; None: no graph.
    """

    def __init__(
        self,
        session: Any,
        device: str,
        feeds: tuple[str, NDArray[Any]],
        answers: Mapping[str, NDArray[Any]],
        graph: int | None = None,
    ) -> None:
        values = import_onnxruntime().OrtValue
        self._session = session
        self._input = values.ortvalue_from_numpy(feeds[1], device, 0)
        self._outputs = [
            values.ortvalue_from_shape_and_type(like.shape, like.dtype, device, 0) for like in answers.values()
        ]
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(feeds[0], self._input)
        for name, output in zip(answers, self._outputs, strict=True):
            self._binding.bind_ortvalue_output(name, output)
        self._options = None if graph is None else graph_options(graph)

    @property
    def addresses(self) -> list[int]:
        """Where the input and the outputs lie."""
        return [value.data_ptr() for value in (self._input, *self._outputs)]

    def run(self, tensor: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs for an input of the shape and type it was made with, as arrays of their own."""
        self._input.update_inplace(tensor)
        self._session.run_with_iobinding(self._binding, self._options)
        return [np.array(output.numpy()) for output in self._outputs]


def graph_options(graph: int = _NO_GRAPH) -> Any:
    """Run options: which CUDA graph to record or replay. Without a number none, which unbound passes must say."""
    options = import_onnxruntime().RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(graph))
    return options
