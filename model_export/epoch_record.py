"""What is written down of an epoch: sums over its steps, from which means and correlation follow.

Sums, not samples, so that a checkpoint in the middle of an epoch stays small and devices exchange seven numbers a step.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

import torch

from model_export.errors import RunError
from model_export.training_step import StepRecord

EpochRecord = dict[str, Any]
VALIDATION_PREFIX = "validation_"


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
        learning_rate: of the last step.
        seconds, waiting_seconds: spent on training, and of these on waiting for the loader.
    """

    steps: int = 0
    moments: torch.Tensor = field(default_factory=lambda: torch.zeros(7, dtype=torch.float64))
    learning_rate: float = 0.0
    seconds: float = 0.0
    waiting_seconds: float = 0.0

    def add(self, moments: torch.Tensor, learning_rate: float) -> None:
        """One more step."""
        self.steps += 1
        self.moments = self.moments.to(moments.device) + moments
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
        """Base loss; mean and spread of the difficulty and its correlation with the loss; critic; rate; time."""
        steps, loss, score, loss_squared, score_squared, product, objective = self.moments.cpu().tolist()
        mean_loss, mean_score = loss / steps, score / steps
        loss_variance = max(loss_squared / steps - mean_loss**2, 0.0)
        score_variance = max(score_squared / steps - mean_score**2, 0.0)
        covariance = product / steps - mean_loss * mean_score
        varies = loss_variance > 0 and score_variance > 0
        return {
            "base_loss": mean_loss,
            "difficulty_mean": mean_score,
            "difficulty_spread": score_variance**0.5,
            "difficulty_loss_correlation": covariance / (loss_variance * score_variance) ** 0.5 if varies else 0.0,
            "critic_objective": objective / steps,
            "learning_rate": self.learning_rate,
            "seconds": round(self.seconds, 2),
            "loader_share": round(self.waiting_seconds / self.seconds, 3) if self.seconds else 0.0,
        }
