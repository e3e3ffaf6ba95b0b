"""Mean radial error and success detection rates in millimetres, of cephalometric landmarks."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from model_export.data.keypoint_sample import KeypointSample
from model_export.metrics.figures import Figure
from model_export.metrics.point_errors import labels, point_errors
from model_export.metrics.predictions import BoolArray, FloatArray
from model_export.metrics.settings import RadialErrorSettings

_COMPARISONS: dict[str, Callable[[FloatArray, float], BoolArray]] = {"<": np.less, "<=": np.less_equal}
_SPACING = "each picture's own mm per pixel; all labelled keypoints count the same"


def radial_errors_mm(samples: Sequence[KeypointSample], found_SK2: FloatArray) -> NDArray[np.float64]:
    """Errors in mm (S, K), each sample by its own spacing; NaN where there is no label or no spacing."""
    spacing = np.array([sample.mm_per_pixel or np.nan for sample in samples])
    return np.asarray(point_errors(found_SK2, *labels(samples)) * spacing[:, None])


def radial_error(
    samples: Sequence[KeypointSample], found_SK2: FloatArray, settings: RadialErrorSettings
) -> tuple[Figure, ...]:
    """MRE, its standard deviation (n - 1 in the denominator), and SDR@z for each z in mm."""
    errors = radial_errors_mm(samples, found_SK2)
    known = errors[~np.isnan(errors)]
    counted = int((~np.isnan(errors)).any(axis=1).sum())
    counts = (counted, len(samples) - counted)
    if not known.size:
        return (Figure("MRE", np.nan, "mm", _SPACING, *counts),)
    succeeds = _COMPARISONS[settings.comparison]
    spread = float(np.std(known, ddof=1)) if known.size > 1 and np.isfinite(known).all() else np.nan
    return (
        Figure("MRE", float(known.mean()), "mm", _SPACING, *counts),
        Figure("SD of the radial error", spread, "mm", f"n - 1 in the denominator; {_SPACING}", *counts),
        *(
            Figure(
                f"SDR@{z:g}mm",
                float(np.mean(succeeds(known, z))),
                "share",
                f"share of labelled keypoints with error {settings.comparison} {z:g} mm; {_SPACING}",
                *counts,
            )
            for z in settings.thresholds_mm
        ),
    )
