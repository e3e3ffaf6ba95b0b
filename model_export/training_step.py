"""One step of Algorithm 2: the equation, nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from model_export.adversarial_focal import (
    Critic,
    criticise,
    difficulty,
    difficulty_weights,
    label_points,
    predicted_points,
    topology,
)
from model_export.base_losses import BaseLoss, Target
from model_export.heatmap_decoding import read_maps
from model_export.recipe import AdversarialFocal
from service.contract.keypoint_codec import KeypointCodec


class StepRecord(NamedTuple):
    """What a step did, per sample: unweighted base loss (N,), difficulty (N,), and the critic's objective."""

    base_loss_N: torch.Tensor
    difficulty_N: torch.Tensor
    critic_objective: torch.Tensor


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """f updates with respect to difficulty times base loss, d with respect to its own objective, once each per batch.

    Attributes:
        network, critic: f and d; the critic is None for the vanilla arm.
        update_network, update_critic: backward pass and optimiser step for a scalar loss.
    """

    network: nn.Module
    critic: Critic | None
    update_network: Callable[[torch.Tensor], None]
    update_critic: Callable[[torch.Tensor], None]
    base_loss: BaseLoss
    codec: KeypointCodec
    afl: AdversarialFocal

    def __call__(self, images_N3HW: torch.Tensor, target: Target) -> StepRecord:
        """One batch: normalised images and their labels."""
        prediction = read_maps(self.network(images_N3HW).float(), self.codec)
        base_loss_NK = self.base_loss(prediction, target) * target.visible_NK
        base_loss_N = base_loss_NK.sum(dim=1) / target.visible_NK.sum(dim=1).clamp_min(1)

        difficulty_N, weights_N = torch.ones_like(base_loss_N), torch.ones_like(base_loss_N)
        critic_objective = torch.zeros(())
        if self.critic is not None:
            size = self.codec.heatmap_width, self.codec.heatmap_height
            with torch.no_grad():
                true = topology(label_points(target), *size)
                predicted = topology(predicted_points(prediction, target, self.afl), *size)
            critic_objective, quality_N = criticise(self.critic, true, predicted, self.afl.gradient_penalty)
            difficulty_N = difficulty(quality_N)
            weights_N = difficulty_weights(difficulty_N, self.afl)
            self.update_critic(critic_objective)

        self.update_network((weights_N * base_loss_N).mean())
        return StepRecord(base_loss_N.detach(), difficulty_N, critic_objective.detach())
