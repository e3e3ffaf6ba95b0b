"""What is written down of an epoch: sums over its steps, from which means and correlation follow.

Sums, not samples, so that a checkpoint in the middle of an epoch stays small and devices exchange seven numbers a step.

Difficulty and loss are correlated within batches, where the one weighs the other. Over all samples of an epoch they
would also correlate as both change from step to step.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch

from model_export.errors import RunError
from model_export.training_step import StepRecord

EpochRecord = dict[str, Any]
VALIDATION_PREFIX = "validation_"
_ROUNDING = 1e-13  # of a mean square in float64: a smaller variance is none


def followed_figures(record: EpochRecord) -> dict[str, float | None]:
    """What an epoch's validation measured, by name; None where there was nothing to measure; empty without one."""
    found = {key: value for key, value in record.items() if key.startswith(VALIDATION_PREFIX)}
    return {key.removeprefix(VALIDATION_PREFIX): value for key, value in found.items()}


def step_moments(record: StepRecord) -> torch.Tensor:
    """Means over a step's samples (7,): 1, loss, difficulty, their squares and product, and the critic's objective."""
    loss, score = record.base_loss_N.double(), record.difficulty_N.double()
    columns = (torch.ones_like(loss), loss, score, loss.square(), score.square(), loss * score)
    return torch.stack([*(column.mean() for column in columns), record.critic_objective.double()])


@dataclass(slots=True)
class EpochProgress:
    """How far an epoch is.

    Attributes:
        steps: done so far.
        moments: sums over those steps of `step_moments`, each the mean over all devices.
        within: sums over those steps of the variances of loss and difficulty and their covariance in a step's batch.
        learning_rate: of the last step.
        seconds, waiting_seconds: spent on training, and of these on waiting for the loader.
    """

    steps: int = 0
    moments: torch.Tensor = field(default_factory=lambda: torch.zeros(7, dtype=torch.float64))
    within: torch.Tensor = field(default_factory=lambda: torch.zeros(3, dtype=torch.float64))
    learning_rate: float = 0.0
    seconds: float = 0.0
    waiting_seconds: float = 0.0

    def add(self, moments: torch.Tensor, learning_rate: float) -> None:
        """One more step."""
        self.steps += 1
        self.moments = self.moments.to(moments.device) + moments
        _, loss, score, loss_squared, score_squared, product, _ = moments
        covariances = torch.stack([loss_squared - loss**2, score_squared - score**2, product - loss * score])
        self.within = self.within.to(moments.device) + covariances
        self.learning_rate = learning_rate

    def check(self, epoch: int) -> None:
        """Refuse to go on with a network that has diverged.

        Raises:
            RunError: the loss of one of the epoch's steps was not finite.
        """
        if not bool(self.moments.isfinite().all()):
            raise RunError(
                f"epoch {epoch + 1}: the loss is not finite within {self.steps} steps; a lower "
                f"optimisation.learning_rate or a gradient_clip may help"
            )

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """As it was."""
        return cls(**state)

    def record(self) -> EpochRecord:
        """Base loss; mean and spread of the difficulty over all samples; its correlation with the loss within batches.

        And the critic's objective, the learning rate, and where the time went.
        """
        steps, loss, score, loss_squared, score_squared, _, objective = self.moments.cpu().tolist()
        loss_variance, score_variance, covariance = self.within.cpu().tolist()
        varies = loss_variance > _ROUNDING * loss_squared and score_variance > _ROUNDING * score_squared
        return {
            "base_loss": loss / steps,
            "difficulty_mean": score / steps,
            "difficulty_spread": max(score_squared / steps - (score / steps) ** 2, 0.0) ** 0.5,
            "difficulty_loss_correlation": covariance / (loss_variance * score_variance) ** 0.5 if varies else 0.0,
            "critic_objective": objective / steps,
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "seconds": round(self.seconds, 2),
            "loader_share": round(self.waiting_seconds / self.seconds, 3) if self.seconds else 0.0,
        }
