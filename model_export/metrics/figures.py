"""A figure: one measured value with the convention that it was measured in."""

import math
from typing import NamedTuple


def value_text(value: float, unit: str, *, signed: bool = False) -> str:
    """A value as it is printed: a share in percent, anything else with its unit."""
    if unit == "share":
        return f"{value:.2%}"
    return f"{value:+.2f} {unit}" if signed else f"{value:.2f} {unit}"


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
        return value_text(self.value, self.unit, signed=self.signed)

    @property
    def signed(self) -> bool:
        """Whether zero is best and either side of it is worse, as for an offset."""
        return self.metric.startswith("offset")

    @property
    def json_value(self) -> float | None:
        """The value for JSON, which knows no number that is not finite."""
        return self.value if math.isfinite(self.value) else None
