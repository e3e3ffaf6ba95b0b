"""A figure: one measured value with the convention that it was measured in."""

import math
from typing import NamedTuple


class Figure(NamedTuple):
    """One value of one metric.

    Attributes:
        metric: its name, thresholds included, such as `FR@0.1`.
        value: infinite where a mean is over a keypoint that was not found; NaN where there was nothing to measure.
        unit: share, px (image pixels) or mm.
        convention: normaliser, comparison, and over what it is averaged.
        counted: how many samples (of instances: labelled persons) it is over.
        left_out: how many have no label, or lack what the metric needs.
    """

    metric: str
    value: float
    unit: str
    convention: str
    counted: int
    left_out: int

    @property
    def text(self) -> str:
        """The value as it is printed."""
        if math.isnan(self.value):
            return "nothing to measure"
        if self.unit == "share":
            return f"{self.value:.2%}"
        return f"{self.value:+.2f} {self.unit}" if "offset" in self.metric else f"{self.value:.2f} {self.unit}"

    @property
    def json_value(self) -> float | None:
        """The value for JSON, which knows no number that is not finite."""
        return self.value if math.isfinite(self.value) else None
