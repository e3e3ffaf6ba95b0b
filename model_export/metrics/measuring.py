"""The metrics that a recipe can choose, and how all of them are measured at once."""

from collections.abc import Callable, Sequence
from typing import Any

from model_export.data.keypoint_sample import KeypointSample
from model_export.metrics.figures import Figure
from model_export.metrics.nme import nme
from model_export.metrics.oks import oks, oks_wholebody
from model_export.metrics.pck import pck, pckh
from model_export.metrics.point_errors import epe
from model_export.metrics.predictions import FloatArray, Predictions
from model_export.metrics.radial_error import radial_error
from model_export.metrics.settings import MetricSettings

# They need one prediction for each sample.
SAMPLE_METRICS: dict[str, Callable[[Sequence[KeypointSample], FloatArray, Any], tuple[Figure, ...]]] = {
    "nme": nme,
    "pck": pck,
    "pckh": pckh,
    "epe": epe,
    "radial_error": radial_error,
}
# They match predictions with persons themselves.
INSTANCE_METRICS: dict[str, Callable[[Predictions, Any], tuple[Figure, ...]]] = {
    "oks": oks,
    "oks_wholebody": oks_wholebody,
}


def measure(metrics: Sequence[MetricSettings], predictions: Predictions) -> tuple[Figure, ...]:
    """The figures of all metrics that these predictions allow: without one prediction a sample, those of instances."""
    figures: list[Figure] = []
    for settings in metrics:
        if settings.kind in INSTANCE_METRICS:
            figures += INSTANCE_METRICS[settings.kind](predictions, settings)
        elif predictions.found_SK2 is not None:
            figures += SAMPLE_METRICS[settings.kind](predictions.samples, predictions.found_SK2, settings)
    return tuple(figures)
