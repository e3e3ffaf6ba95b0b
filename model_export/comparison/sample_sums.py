"""Figures as ratios of sums over samples, from which a bootstrap over samples draws. S samples, K keypoints."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_export.metrics.nme import normalised_mean_errors
from model_export.metrics.pck import relative_errors
from model_export.metrics.point_errors import labels, point_errors
from model_export.metrics.predictions import Predictions
from model_export.metrics.radial_error import radial_errors_mm
from model_export.metrics.settings import MetricSettings, NmeSettings, PckSettings, RadialErrorSettings

FloatArray = NDArray[np.float64]


class SampleSums(NamedTuple):
    """What each sample adds to a figure's numerator and denominator (S,): the figure is the ratio of their sums."""

    numerators_S: FloatArray
    denominators_S: FloatArray

    @property
    def ratio(self) -> float:
        """The figure."""
        return float(self.numerators_S.sum() / self.denominators_S.sum())


def _nme(predictions: Predictions, settings: NmeSettings) -> Iterator[tuple[str, SampleSums]]:
    errors_S = normalised_mean_errors(predictions.samples, _found(predictions), settings.normaliser)
    yield "NME", _over_known(errors_S, errors_S)
    for t in settings.thresholds:
        yield f"FR@{t:g}", _over_known(errors_S, errors_S > t)
        yield f"AUC@{t:g}", _over_known(errors_S, np.maximum(0.0, 1.0 - errors_S / t))


def _pck(predictions: Predictions, settings: PckSettings) -> Iterator[tuple[str, SampleSums]]:
    relative_SK = relative_errors(predictions.samples, _found(predictions), settings.normaliser)
    for t in settings.thresholds:
        yield f"PCK@{t:g}", _over_known(relative_SK, relative_SK <= t)


def _epe(predictions: Predictions, _settings: Any) -> Iterator[tuple[str, SampleSums]]:
    errors_SK = point_errors(_found(predictions), *labels(predictions.samples))
    yield "EPE", _over_known(errors_SK, errors_SK)


def _radial(predictions: Predictions, settings: RadialErrorSettings) -> Iterator[tuple[str, SampleSums]]:
    errors_SK = radial_errors_mm(predictions.samples, _found(predictions))
    yield "MRE", _over_known(errors_SK, errors_SK)
    for z in settings.thresholds_mm:
        succeeds = errors_SK < z if settings.comparison == "<" else errors_SK <= z
        yield f"SDR@{z:g}mm", _over_known(errors_SK, succeeds)


# The rest has none: AP ranks all persons together, a standard deviation and PCKh's columns are no ratios of sums.
_SUMS: dict[str, Callable[[Predictions, Any], Iterator[tuple[str, SampleSums]]]] = {
    "nme": _nme,
    "pck": _pck,
    "epe": _epe,
    "radial_error": _radial,
}


def sample_sums(metrics: Sequence[MetricSettings], predictions: Predictions) -> dict[str, SampleSums]:
    """The sums of each figure that is a ratio of sums over samples and finite, by the figure's name."""
    found: dict[str, SampleSums] = {}
    for settings in metrics:
        if settings.kind in _SUMS:
            found |= dict(_SUMS[settings.kind](predictions, settings))
    return {name: sums for name, sums in found.items() if np.isfinite(sums.numerators_S).all()}


def _found(predictions: Predictions) -> FloatArray:
    assert predictions.found_SK2 is not None  # validation has one prediction for each sample
    return np.asarray(predictions.found_SK2, dtype=np.float64)


def _over_known(errors: FloatArray, values: NDArray[Any]) -> SampleSums:
    """Sums over each sample's values whose error is known (not NaN)."""
    known = ~np.isnan(errors)
    flat = (len(errors), -1)
    return SampleSums(np.where(known, values, 0.0).reshape(flat).sum(axis=1), known.reshape(flat).sum(axis=1) * 1.0)
