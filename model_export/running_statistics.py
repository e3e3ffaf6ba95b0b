"""What forms of AFL know of the steps so far: running means that are the same in all parts and on all devices."""

from dataclasses import dataclass, field
from typing import Self

import torch

# The statistics of about the last ten batches: the critic's quality drifts within tens of steps.
_DECAY = 0.9


@dataclass(frozen=True, slots=True)
class RunningStatistics:
    """From before a step; at first the mean over all steps so far, and no statistics before the first step.

    Attributes:
        steps: that the means are of.
        quality_mean: of the critic's quality of predictions.
        quality_variance: of the same, within batches.
        error: mean distance of predicted keypoints from their labels, in crop pixels.
    """

    steps: int = 0
    quality_mean: torch.Tensor = field(default_factory=lambda: torch.zeros(()))
    quality_variance: torch.Tensor = field(default_factory=lambda: torch.ones(()))
    error: torch.Tensor = field(default_factory=lambda: torch.zeros(()))

    def updated(self, quality: torch.Tensor, quality_squared: torch.Tensor, error: torch.Tensor) -> Self:
        """With one more step, given by its means over the whole batch: of the quality, its square, and the error."""
        kept = min(_DECAY, self.steps / (self.steps + 1))
        variance = (quality_squared - quality.square()).clamp_min(0)
        return type(self)(
            self.steps + 1,
            kept * self.quality_mean.to(quality) + (1 - kept) * quality,
            kept * self.quality_variance.to(quality) + (1 - kept) * variance,
            kept * self.error.to(error) + (1 - kept) * error,
        )
