"""One step of Algorithm 2: the equation, nothing else."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import nn

from model_export.adversarial_focal import (
    Critic,
    criticise,
    difficulty,
    label_points,
    predicted_points,
    topology,
    weight_scale,
)
from model_export.base_losses import BaseLoss, Target
from model_export.heatmap_decoding import read_maps
from model_export.recipe import AdversarialFocal
from service.contract.keypoint_codec import KeypointCodec


class BatchPart(NamedTuple):
    """What goes through the network at once: a device's batch, or a part of it where gradients are accumulated.

    Attributes:
        images_N3HW: normalised.
        target: their labels.
        mixing_N: alpha of the critic's gradient penalty, uniform in [0, 1).
    """

    images_N3HW: torch.Tensor
    target: Target
    mixing_N: torch.Tensor


class StepRecord(NamedTuple):
    """What a step did on this device, per sample: unweighted base loss and difficulty (N,); the critic's objective."""

    base_loss_N: torch.Tensor
    difficulty_N: torch.Tensor
    critic_objective: torch.Tensor


class Update(Protocol):
    """An optimiser with the gradients that gather for it."""

    def accumulate(self, loss: torch.Tensor) -> None:
        """Add the gradient of a scalar loss."""

    def apply(self, gradient_scale: torch.Tensor | None = None) -> None:
        """One step with the gradients so far, averaged over the devices and times a scalar; then forget them."""


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """f updates with respect to difficulty times base loss, d with respect to its own objective, once each per batch.

    Attributes:
        network, critic: f and d; the critic is None for the vanilla arm.
        network_update, critic_update: their optimisers.
        mean_over_devices: of a tensor.
        without_sync: context in which f's gradients stay on the device, if its argument is true.
    """

    network: nn.Module
    critic: Critic | None
    network_update: Update
    critic_update: Update
    mean_over_devices: Callable[[torch.Tensor], torch.Tensor]
    without_sync: Callable[[bool], AbstractContextManager[None]]
    base_loss: BaseLoss
    codec: KeypointCodec
    afl: AdversarialFocal

    def __call__(self, parts: Sequence[BatchPart]) -> StepRecord:
        """One batch, in parts of equal size; exactly the step of the whole batch, but for batch norm's statistics.

        Weights of mean one divide by the mean difficulty of the whole batch, which is known only after its last part:
        a factor common to all samples, it multiplies the gathered gradient.
        """
        share, records = 1 / len(parts), []
        for number, part in enumerate(parts, start=1):
            with self.without_sync(number < len(parts)):
                record, base_loss_N = self._forward(part, share)
                self.network_update.accumulate(share * (record.difficulty_N * base_loss_N).mean())
            records.append(record)
        base_loss_N, difficulty_N = (torch.cat([record[field] for record in records]) for field in (0, 1))
        objective = torch.stack([record.critic_objective for record in records]).mean()

        if self.critic is not None:
            self.critic_update.apply()
        mean_difficulty = self.mean_over_devices(difficulty_N.mean())
        self.network_update.apply(weight_scale(mean_difficulty, self.afl))
        return StepRecord(base_loss_N, difficulty_N, objective)

    def _forward(self, part: BatchPart, share: float) -> tuple[StepRecord, torch.Tensor]:
        """Base loss and difficulty of each sample; the critic's gradient is added to what has gathered."""
        target = part.target
        prediction = read_maps(self.network(part.images_N3HW).float(), self.codec)
        base_loss_NK = self.base_loss(prediction, target) * target.visible_NK
        base_loss_N = base_loss_NK.sum(dim=1) / target.visible_NK.sum(dim=1).clamp_min(1)
        if self.critic is None:
            return StepRecord(
                base_loss_N.detach(), torch.ones_like(base_loss_N), base_loss_N.new_zeros(())
            ), base_loss_N

        size = self.codec.heatmap_width, self.codec.heatmap_height
        with torch.no_grad():
            true = topology(label_points(target), *size)
            predicted = topology(predicted_points(prediction, target, self.afl), *size)
        objective, quality_N = criticise(self.critic, true, predicted, part.mixing_N, self.afl.gradient_penalty)
        self.critic_update.accumulate(share * objective)
        return StepRecord(base_loss_N.detach(), difficulty(quality_N), objective.detach()), base_loss_N
