"""Every metric of the service, declared once, in a registry of its own."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from service.request_record import STAGES, Stage

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_TENTHS = tuple(tenth / 10 for tenth in range(1, 11))


class Metrics:
    """The metrics of one server, whatever it serves. Thread-safe; it is the observer of every batcher."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # CPU time, memory and open files of this process, on Linux
        self._requests = Counter(
            "focalpoint_requests", "Answered requests", ("route", "code"), registry=self.registry
        )  # prometheus adds _total
        self._rejected = Counter(
            "focalpoint_rejected", "Images that ended in a problem, by its kind", ("reason",), registry=self.registry
        )
        stage_seconds = Histogram(
            "focalpoint_stage_seconds",
            "Time of a request in a stage",
            ("stage",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._stages = {stage: stage_seconds.labels(stage) for stage in STAGES}
        self._batch_size = Histogram(
            "focalpoint_batch_size", "Crops in a batch", buckets=_BATCH_SIZES, registry=self.registry
        )
        self._batch_fill = Histogram(
            "focalpoint_batch_fill_ratio", "Crops in a batch / its padded size", buckets=_TENTHS, registry=self.registry
        )
        self._batch_release = Counter(
            "focalpoint_batch_release", "Why a batch was started", ("reason",), registry=self.registry
        )
        self._queue_depth = Gauge("focalpoint_queue_depth", "Crops that wait", registry=self.registry)
        self._queue_wait = Histogram(
            "focalpoint_queue_wait_seconds", "Time a crop waited", buckets=_SECONDS, registry=self.registry
        )
        self._dropped = Counter(
            "focalpoint_dropped_crops", "Crops that left the queue unseen", ("reason",), registry=self.registry
        )
        self._in_flight = Gauge("focalpoint_in_flight_images", "Images that are worked on", registry=self.registry)
        self._crops = Counter("focalpoint_crops", "Crops the model has seen", ("model",), registry=self.registry)
        self._scores = _ScoreHistograms()
        self.registry.register(self._scores)
        self._model_info = Gauge(
            "focalpoint_model_info", "The models served", ("model", "version", "sha256"), registry=self.registry
        )
        self._provider_info = Gauge(
            "focalpoint_provider_info", "The execution provider in use", ("provider",), registry=self.registry
        )

    def of_model(self, name: str) -> "ModelMetrics":
        """Where the batches of a model, of whatever version, are counted."""
        return ModelMetrics(self._crops.labels(name), self._scores.of_model(name))

    def model_loaded(self, name: str, version: str, sha256: str, provider: str) -> None:
        """A model is served from now on."""
        self._model_info.labels(name, version, sha256).set(1)
        self._provider_info.labels(provider).set(1)

    def model_unloaded(self, name: str, version: str, sha256: str) -> None:
        """A model is not served any more; what it counted stays."""
        self._model_info.remove(name, version, sha256)

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Read the depth of all queues together whenever the metrics are asked for."""
        self._queue_depth.set_function(depth)

    def watch_in_flight(self, count: Callable[[], int]) -> None:
        """Read the number of images that are worked on whenever the metrics are asked for."""
        self._in_flight.set_function(count)

    def answered(self, route: str, code: int) -> None:
        """Count an answer by route template and status."""
        self._requests.labels(route, str(code)).inc()

    def rejected(self, reason: str) -> None:
        """Count an image, or a whole request, that ended in a problem."""
        self._rejected.labels(reason).inc()

    def stage(self, name: Stage, seconds: float) -> None:
        """A stage of a request took so long."""
        self._stages[name].observe(seconds)

    def on_wait(self, seconds: float) -> None:
        """An item left the queue for a batch."""
        self._queue_wait.observe(seconds)

    def on_drop(self, reason: str) -> None:
        """An item left the queue for nothing."""
        self._dropped.labels(reason).inc()

    def on_batch(self, size: int, padded_size: int, reason: str) -> None:
        """A batch starts."""
        self._batch_size.observe(size)
        self._batch_fill.observe(size / padded_size)
        self._batch_release.labels(reason).inc()

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class ModelMetrics:
    """The metrics of one model by name."""

    def __init__(self, crops: Counter, scores: "_ScoreHistogram") -> None:
        self._crops = crops
        self._scores = scores

    def on_scores(self, scores_NK: NDArray[np.float32]) -> None:
        """The model has answered N crops."""
        self._crops.inc(len(scores_NK))
        self._scores.observe(scores_NK)


class _ScoreHistogram:
    """Keypoint scores in tenths. Counts an array at once: one observe call per keypoint costs more than the crop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # two versions of a model have a thread each
        self._counts = np.zeros(len(_TENTHS) + 1, np.int64)  # the last one is beyond all limits
        self._sum = 0.0

    def observe(self, scores: NDArray[Any]) -> None:
        """Count scores in [0, 1]."""
        # `le` is inclusive: a score of exactly 0.1 belongs into the first bucket.
        buckets = np.asarray(_TENTHS, scores.dtype).searchsorted(scores.ravel(), side="left")
        counts = np.bincount(buckets, minlength=len(_TENTHS) + 1)
        with self._lock:
            self._counts += counts
            self._sum += float(scores.sum(dtype=np.float64))

    def add_to(self, family: HistogramMetricFamily, model: str) -> None:
        """Add the histogram as it stands."""
        with self._lock:
            cumulative, total = self._counts.cumsum().tolist(), self._sum
        limits = [*map(str, _TENTHS), "+Inf"]
        family.add_metric([model], list(zip(limits, cumulative, strict=True)), total)


class _ScoreHistograms(Collector):
    """One histogram for each model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_model: dict[str, _ScoreHistogram] = {}

    def of_model(self, name: str) -> _ScoreHistogram:
        """The histogram of a model; a new one, if the model is new."""
        with self._lock:
            return self._of_model.setdefault(name, _ScoreHistogram())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histograms as they stand."""
        family = HistogramMetricFamily("focalpoint_keypoint_score", "Scores of the keypoints", labels=["model"])
        with self._lock:
            of_model = dict(self._of_model)
        for name, histogram in of_model.items():
            histogram.add_to(family, name)
        yield family
