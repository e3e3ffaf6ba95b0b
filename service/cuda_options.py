"""What can be said to onnxruntime's CUDA provider."""

from typing import NamedTuple


class CudaOptions(NamedTuple):
    """Settings of a session on a GPU.

    Attributes:
        graphs: record each batch size once as a CUDA graph and replay it, which saves the launch of every kernel; the
            whole model must then run on the GPU.
        memory_bytes: most memory that onnxruntime takes for tensors; None: what there is.
    """

    graphs: bool = False
    memory_bytes: int | None = None

    def of_provider(self) -> dict[str, str]:
        """As the provider wants them."""
        options = {
            # There are several batch sizes: an exhaustive search would measure every convolution again for each of
            # them, and an arena that doubles would keep what the largest one took twice over.
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
        }
        if self.graphs:
            options["enable_cuda_graph"] = "1"
        if self.memory_bytes is not None:
            options["gpu_mem_limit"] = str(self.memory_bytes)
        return options


DEFAULT_CUDA = CudaOptions()
