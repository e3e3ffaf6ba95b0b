"""Every metric of the service, declared once, in a registry of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from service.request_record import STAGES, Stage

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_TENTHS = tuple(tenth / 10 for tenth in range(1, 11))


class Metrics:
    """The metrics of one server and the one model it serves. Thread-safe, but for `on_scores` (one thread).

    It is the batcher's observer.
    """

    def __init__(self, model: str, version: str, sha256: str, provider: str) -> None:
        self.registry = CollectorRegistry()
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
        crops = Counter("focalpoint_crops", "Crops the model has seen", ("model",), registry=self.registry)
        self._crops = crops.labels(model)
        self._scores = _ScoreHistogram(model)
        self.registry.register(self._scores)
        model_info = Gauge(
            "focalpoint_model_info", "The model served", ("model", "version", "sha256"), registry=self.registry
        )
        model_info.labels(model, version, sha256).set(1)
        provider_info = Gauge(
            "focalpoint_provider_info", "The execution provider in use", ("provider",), registry=self.registry
        )
        provider_info.labels(provider).set(1)

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Read the depth of the queue whenever the metrics are asked for."""
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

    def on_scores(self, scores_NK: NDArray[np.float32]) -> None:
        """The model has answered N crops."""
        self._crops.inc(len(scores_NK))
        self._scores.observe(scores_NK)

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class _ScoreHistogram(Collector):
    """Keypoint scores in tenths. Counts an array at once: one observe call per keypoint costs more than the crop."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._counts = np.zeros(len(_TENTHS), np.int64)
        self._sum = 0.0

    def observe(self, scores: NDArray[Any]) -> None:
        """Count scores in [0, 1]; called from the batcher's one thread."""
        # `le` is inclusive: a score of exactly 0.1 belongs into the first bucket.
        buckets = np.searchsorted(np.asarray(_TENTHS, scores.dtype), scores.ravel(), side="left")
        self._counts = self._counts + np.bincount(buckets.clip(max=len(_TENTHS) - 1), minlength=len(_TENTHS))
        self._sum += float(scores.sum(dtype=np.float64))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram as it stands."""
        cumulative = self._counts.cumsum().tolist()
        buckets = [(str(limit), count) for limit, count in zip(_TENTHS, cumulative, strict=True)]
        family = HistogramMetricFamily("focalpoint_keypoint_score", "Scores of the keypoints", labels=["model"])
        family.add_metric([self._model], [*buckets, ("+Inf", cumulative[-1])], self._sum)
        yield family
