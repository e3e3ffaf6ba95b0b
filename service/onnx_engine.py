"""The engine of a bundle: an onnxruntime session that is what was asked for, or no engine at all."""

import time
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.engine import EngineOutput
from service.errors import StartupError
from service.graph_check import check_graph
from service.input_preparation import InputPreparation
from service.onnxruntime_loading import import_onnxruntime
from service.output_decoding import output_reading
from service.settings import Provider

_PROVIDERS: dict[Provider, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_PROVIDER_OPTIONS: dict[Provider, dict[str, str]] = {
    "cpu": {},
    # Batches come in every size: an exhaustive search would measure every convolution again for each of them, and an
    # arena that doubles would keep what the largest one took twice over.
    "cuda": {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"},
}


class OnnxEngine:
    """A verified bundle on one provider.

    Args:
        bundle: folder with `manifest.json` and `model.onnx`.
        provider: what to run on; nothing falls back to another.
        intra_op_threads: threads of one forward pass.

    Raises:
        BundleError: the bundle's files, or its graph, are not what its manifest says.
        StartupError: onnxruntime is not there, or does not run on the provider.
    """

    def __init__(self, bundle: Path, provider: Provider, intra_op_threads: int) -> None:
        self.manifest = BundleManifest.load(bundle)
        self.manifest.verify(bundle)
        self.provider: str = provider
        self._session = create_session(bundle / MODEL_FILE, provider, intra_op_threads)
        check_graph(self._session, self.manifest)
        self._prepare = InputPreparation(self.manifest.input)
        self._reading = output_reading(self.manifest)

    def twin(self) -> "OnnxEngine":
        """The same session, which several threads may run at once, with an input buffer of its own."""
        other = copy(self)
        other._prepare = InputPreparation(self.manifest.input)
        return other

    def warm_up(self, batch_sizes: Sequence[int]) -> dict[int, float]:
        """Run each size twice: the first time takes memory and chooses kernels, the second one is measured."""
        seconds = {}
        for size in batch_sizes:
            crops_NHW3 = np.zeros((size, self.manifest.input.height, self.manifest.input.width, 3), np.uint8)
            self.run(crops_NHW3)
            started = time.perf_counter()
            self.run(crops_NHW3)
            seconds[size] = time.perf_counter() - started
        return seconds

    def run(self, crops_NHW3: NDArray[np.uint8]) -> EngineOutput:
        """Keypoints of N >= 1 crops: uint8 RGB of the manifest's size -> float32 (N, K, 2) crop pixels and (N, K)."""
        tensors = self._session.run(self._reading.tensors, {self.manifest.input.tensor: self._prepare(crops_NHW3)})
        return self._reading.decode(tensors)

    def run_with_heatmaps(self, crops_NHW3: NDArray[np.uint8]) -> EngineOutput:
        """The same with float32 heatmaps (N, K, h, w).

        Raises:
            BundleError: the model has none.
        """
        names, heatmaps = self._reading.tensors, self.manifest.heatmaps.heatmaps_tensor
        wanted = [*names, *({heatmaps} - set(names))]
        tensors = self._session.run(wanted, {self.manifest.input.tensor: self._prepare(crops_NHW3)})
        return self._reading.decode(tensors[: len(names)])._replace(heatmaps_NKHW=tensors[wanted.index(heatmaps)])


def create_session(model: Path, provider: Provider, intra_op_threads: int) -> Any:
    """An onnxruntime session on an ONNX file.

    Raises:
        StartupError: onnxruntime is not there, does not run on the provider, or cannot load the file.
    """
    onnxruntime = import_onnxruntime()
    wanted = _PROVIDERS[provider]
    if wanted not in onnxruntime.get_available_providers():
        raise StartupError(
            f"--provider {provider}: this onnxruntime has no {wanted}; pip install '.[gpu]' in Focalpoint's folder"
        )
    if provider == "cuda" and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # without it the session silently runs on the CPU where CUDA came as pip packages
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait take the cores that decode the next images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(model), options, providers=[(wanted, _PROVIDER_OPTIONS[provider])], enable_fallback=False
        )
    except errors_of_onnxruntime() as error:
        raise StartupError(f"{model}: onnxruntime cannot load it on {provider} ({error})") from error
    in_use = session.get_providers()[0]
    if in_use != wanted:
        raise StartupError(f"--provider {provider}: onnxruntime fell back to {in_use}; is the GPU's driver there?")
    return session


def errors_of_onnxruntime() -> tuple[type[Exception], ...]:
    """Every exception of the extension module; they have no common base but Exception."""
    declared = vars(import_onnxruntime().capi.onnxruntime_pybind11_state).values()
    return tuple(value for value in declared if isinstance(value, type) and issubclass(value, Exception))
