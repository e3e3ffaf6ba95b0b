"""One model that answers: its engine, warm, behind a batcher of its own.

N crops in a batch, K keypoints, H x W pixels of a crop.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.batch_sizes import BatchSizes
from service.batch_surroundings import Threads
from service.contract.bundle_manifest import MODEL_FILE, BundleManifest
from service.dynamic_batching import DynamicBatcher, Ran
from service.engine import EngineOutput, KeypointEngine
from service.errors import InferenceFailed
from service.metrics import Metrics, ModelMetrics
from service.model_threads import ModelThreads

CARD_FILE = "MODEL_CARD.md"

CropHW3 = NDArray[np.uint8]


class CropAnswer(NamedTuple):
    """What the model says of one crop: float32 (K, 2) in crop pixels and (K,); float16 (K, h, w) where asked for."""

    points_in_crop: NDArray[np.float32]
    scores: NDArray[np.float32]
    heatmaps: NDArray[np.float16] | None = None


class CropTask(NamedTuple):
    """A crop (H, W, 3) to be looked at."""

    crop: CropHW3
    with_heatmaps: bool = False


class ModelIdentity(NamedTuple):
    """Which model it is."""

    name: str
    version: str
    sha256: str

    @classmethod
    def of_manifest(cls, manifest: BundleManifest) -> "ModelIdentity":
        """The identity of a bundle: the hash is that of its graph."""
        return cls(manifest.name, manifest.version, manifest.sha256.get(MODEL_FILE, ""))


class BatchLimits(NamedTuple):
    """How a model's crops are batched.

    Attributes:
        sizes: of a forward pass, ascending from 1.
        threads: how they share the cores.
        max_queue: crops that may wait.
        stuck_seconds: a batch that takes longer is given up.
        drain_seconds: how long the end waits for what was accepted.
    """

    sizes: tuple[int, ...]
    threads: ModelThreads
    max_queue: int
    stuck_seconds: float
    drain_seconds: float


class LoadedModel:
    """A model that takes crops until it is closed; made by `start_model`.

    Nothing it refers to refers back to it: when the last user lets go of it, the memory of its engine is free at once,
    without the garbage collector, which a server keeps from looking at what was there at its start.
    """

    def __init__(
        self,
        engine: KeypointEngine,
        batcher: DynamicBatcher[CropTask, CropAnswer],
        folder: Path,
        drain_seconds: float,
    ) -> None:
        self.manifest = engine.manifest
        self.provider = engine.provider
        self.identity = ModelIdentity.of_manifest(engine.manifest)
        self.folder = folder
        self.card = read_card(folder)
        self.batcher = batcher
        self._drain_seconds = drain_seconds

    def submit(
        self, crops: Sequence[CropHW3], deadline: float, *, with_heatmaps: bool = False
    ) -> list[Future[Ran[CropAnswer]]]:
        """The answers to come to each crop (H, W, 3), in order; one that has not started by the deadline is dropped.

        Raises:
            Overloaded: there is no room.
            NotReady: the model does not work.
        """
        return self.batcher.submit([CropTask(crop, with_heatmaps) for crop in crops], deadline)

    def close(self) -> None:
        """Finish what was accepted. Blocks."""
        self.batcher.close(self._drain_seconds)


def start_model(
    engine: KeypointEngine, folder: Path, limits: BatchLimits, metrics: Metrics, threads: Threads
) -> LoadedModel:
    """A model that may serve: a forward pass of every size has worked, and its time is known.

    Args:
        engine: a loaded model.
        folder: where its bundle lies.
        limits: of its batches.
        metrics: told of its batches.
        threads: that run them.
    """
    possible = engine.manifest.input.batch_sizes(limits.sizes)
    sizes = BatchSizes(possible, engine.warm_up(possible))
    of_model = metrics.of_model(engine.manifest.name)
    engines = [engine, *(engine.twin() for _ in range(limits.threads.batches_at_once - 1))]
    runners = [_CropRunner(engine, of_model, possible[-1]) for engine in engines]
    lone = _runner_of_lone_crops(engine, of_model, limits.threads)
    batcher = DynamicBatcher[CropTask, CropAnswer](
        [runner.run for runner in runners],
        runners[0].probe,
        threads,
        sizes=sizes,
        max_queue=limits.max_queue,
        stuck_seconds=limits.stuck_seconds,
        observer=metrics,
        run_alone=lone.run if lone else None,
    )
    batcher.start()
    return LoadedModel(engine, batcher, folder, limits.drain_seconds)


def read_card(folder: Path) -> str:
    """The text of a bundle's model card; empty if it has none."""
    path = folder / CARD_FILE
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


class _CropRunner:
    """Crops in, answers out, through one array that every batch uses again."""

    def __init__(self, engine: KeypointEngine, metrics: ModelMetrics, largest: int) -> None:
        self._engine = engine
        self._metrics = metrics
        size = engine.manifest.input
        self._slots_NHW3 = np.zeros((largest, size.height, size.width, 3), np.uint8)

    def run(self, tasks: list[CropTask], padded: int) -> list[CropAnswer | Exception]:
        slots_NHW3 = self._slots_NHW3[:padded]
        for slot, task in zip(slots_NHW3, tasks, strict=False):
            slot[...] = task.crop
        slots_NHW3[len(tasks) :] = 0
        # Whoever wants heatmaps makes the whole batch fetch them; they are copied for him alone.
        with_heatmaps = any(task.with_heatmaps for task in tasks)
        output = self._engine.run_with_heatmaps(slots_NHW3) if with_heatmaps else self._engine.run(slots_NHW3)
        points_NK2, scores_NK = output.points_in_crop_NK2[: len(tasks)], output.scores_NK[: len(tasks)]
        finite_N = np.asarray(np.isfinite(points_NK2).all(axis=(1, 2)) & np.isfinite(scores_NK).all(axis=1))
        self._metrics.on_scores(scores_NK[finite_N])
        return [
            CropAnswer(points_NK2[index], scores_NK[index], _heatmaps_of(output, index) if task.with_heatmaps else None)
            if finite_N[index]
            else InferenceFailed("the model's answer is not finite")
            for index, task in enumerate(tasks)
        ]

    def probe(self) -> None:
        self._engine.run(np.zeros_like(self._slots_NHW3[:1]))


def _heatmaps_of(output: EngineOutput, index: int) -> NDArray[np.float16]:
    assert output.heatmaps_NKHW is not None, "the engine was asked for them"
    return np.asarray(output.heatmaps_NKHW[index], np.float16)


def _runner_of_lone_crops(engine: KeypointEngine, metrics: ModelMetrics, threads: ModelThreads) -> _CropRunner | None:
    """The same model on more threads, if there are more."""
    if threads.lone_threads <= threads.intra_op_threads:
        return None
    return _CropRunner(engine.widened(threads.lone_threads), metrics, 1)
