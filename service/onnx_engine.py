"""The engine of a bundle: an onnxruntime session that is what was asked for, or no engine at all."""

import time
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.bound_batch import BoundBatch, graph_options
from service.contract.bundle_manifest import MODEL_FILE, BundleError, BundleManifest
from service.cuda_options import DEFAULT_CUDA, CudaOptions
from service.engine import EngineOutput
from service.errors import StartupError
from service.graph_check import check_graph
from service.input_preparation import InputPreparation
from service.onnxruntime_loading import import_onnxruntime
from service.output_decoding import output_reading
from service.settings import Provider

_PROVIDERS: dict[Provider, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_APART_IN_CROP = 0.1  # pixels
_RUNS_TO_RECORD = 3  # onnxruntime runs once or twice as usual, records, and replays from then on


class OnnxEngine:
    """A verified bundle on one provider.

    Args:
        bundle: folder with `manifest.json` and `model.onnx`.
        provider: what to run on; nothing falls back to another.
        intra_op_threads: threads of one forward pass.
        cuda: on a GPU, how.
        io_binding: whether batches of the sizes that are warmed up keep their tensors; None: on a GPU.

    Raises:
        BundleError: the bundle's files, or its graph, are not what its manifest says.
        StartupError: onnxruntime is not there, or does not run on the provider.
    """

    def __init__(
        self,
        bundle: Path,
        provider: Provider,
        intra_op_threads: int,
        cuda: CudaOptions = DEFAULT_CUDA,
        *,
        io_binding: bool | None = None,
    ) -> None:
        self.manifest = BundleManifest.load(bundle)
        self.manifest.verify(bundle)
        self.provider: Provider = provider
        self._bundle = bundle
        self._cuda = cuda
        self._session = create_session(bundle / MODEL_FILE, provider, intra_op_threads, cuda)
        check_graph(self._session, self.manifest)
        self._prepare = InputPreparation(self.manifest.input)
        self._reading = output_reading(self.manifest)
        self._binds = provider == "cuda" if io_binding is None else io_binding
        self._bound: dict[int, BoundBatch] = {}
        self._graphs = provider == "cuda" and cuda.graphs
        self._unbound_options = graph_options() if self._graphs else None

    def twin(self) -> "OnnxEngine":
        """The same session, which several threads may run at once, with buffers of its own."""
        assert not self._graphs, "a session replays one CUDA graph at a time"
        other = copy(self)
        other._prepare = InputPreparation(self.manifest.input)
        other._bound = {size: other._bind(size) for size in self._bound}
        return other

    def widened(self, threads: int) -> "OnnxEngine":
        """A session with so many threads for a forward pass, that answers as this one does; warm for one crop.

        Raises:
            BundleError: the bundle's files have changed since it was loaded.
            StartupError: it answers otherwise.
        """
        other = OnnxEngine(self._bundle, self.provider, threads, self._cuda)
        if other.manifest != self.manifest:
            raise BundleError(f"{self._bundle}: it changed while it was loaded")
        crop = self.manifest.input
        noise_NHW3 = np.random.default_rng(0).integers(0, 256, (1, crop.height, crop.width, 3), dtype=np.uint8)
        points, expected = (one.run(noise_NHW3).points_in_crop_NK2 for one in (other, self))
        if not np.median(np.abs(points - expected)) < _APART_IN_CROP:  # the median, for noise has near ties
            raise StartupError(
                f"{self.manifest.name}: {threads} threads give another answer; start with --lone-threads 1"
            )
        return other

    def warm_up(self, batch_sizes: Sequence[int]) -> dict[int, float]:
        """Run each size twice: the first time takes memory and chooses kernels, the second one is measured.

        Raises:
            StartupError: with buffers that are used again, the model answers otherwise than without.
        """
        if self._binds:
            self._bound = {size: self._bind(size) for size in batch_sizes}
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
        tensor, bound = self._prepare(crops_NHW3), self._bound.get(len(crops_NHW3))
        return self._reading.decode(bound.run(tensor) if bound else self._fetch(self._reading.tensors, tensor))

    def run_with_heatmaps(self, crops_NHW3: NDArray[np.uint8]) -> EngineOutput:
        """The same with float32 heatmaps (N, K, h, w).

        Raises:
            BundleError: the model has none.
        """
        names, heatmaps = self._reading.tensors, self.manifest.heatmaps.heatmaps_tensor
        wanted = [*names, *({heatmaps} - set(names))]
        tensors = self._fetch(wanted, self._prepare(crops_NHW3))
        return self._reading.decode(tensors[: len(names)])._replace(heatmaps_NKHW=tensors[wanted.index(heatmaps)])

    def _fetch(self, names: list[str], tensor: NDArray[Any]) -> list[NDArray[Any]]:
        found: list[NDArray[Any]] = self._session.run(
            names, {self.manifest.input.tensor: tensor}, self._unbound_options
        )
        return found

    def _bind(self, size: int) -> BoundBatch:
        """Buffers for a batch size, after they gave the right answer to other crops than those it was recorded with."""
        random, crop = np.random.default_rng(size), self.manifest.input
        noise_2NHW3 = random.integers(0, 256, (2, size, crop.height, crop.width, 3), dtype=np.uint8)
        first, second = (self._prepare(crops_NHW3).copy() for crops_NHW3 in noise_2NHW3)
        names = self._reading.tensors
        stale, right = self._fetch(names, first), self._fetch(names, second)
        bound = BoundBatch(
            self._session,
            self.provider,
            (crop.tensor, first),
            dict(zip(names, right, strict=True)),
            graph=size if self._graphs else None,
        )
        for _ in range(_RUNS_TO_RECORD):
            bound.run(first)
        if not all(map(_is_nearer, bound.run(second), right, stale)):
            raise StartupError(
                f"{self.manifest.name}: {size} crops in buffers that are used again do not give the answer that they "
                "give elsewhere; start without --cuda-graphs"
            )
        return bound


def _is_nearer(found: NDArray[Any], right: NDArray[Any], stale: NDArray[Any]) -> bool:
    """Whether an output is the right one but for rounding; by the median, for noise has near ties."""
    off, apart = (float(np.median(np.abs(other - right))) for other in (found, stale))
    return off <= max(0.1 * apart, 1e-6 * float(np.abs(right).max()))


def create_session(model: Path, provider: Provider, intra_op_threads: int, cuda: CudaOptions = DEFAULT_CUDA) -> Any:
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
            str(model),
            options,
            providers=[(wanted, cuda.of_provider() if provider == "cuda" else {})],
            enable_fallback=False,
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
