"""One step of Algorithm 2: the equation, nothing else."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import nn

from model_export.adversarial_focal import (
    Chance,
    difficulty,
    in_range,
    judge,
    mean_over_visible,
    per_sample,
    weight_scale,
    weights,
)
from model_export.adversarial_focal_section import AdversarialFocal
from model_export.base_losses import BaseLoss, Target
from model_export.critic import Critic
from model_export.heatmap_decoding import Prediction, read_maps
from model_export.running_statistics import RunningStatistics
from service.contract.keypoint_codec import KeypointCodec


class BatchPart(NamedTuple):
    """What goes through the network at once: a device's batch, or a part of it where gradients are accumulated.

    Attributes:
        images_N3HW: normalised.
        target: their labels.
        chance: what is drawn for them.
    """

    images_N3HW: torch.Tensor
    target: Target
    chance: Chance


class StepRecord(NamedTuple):
    """What a step did on this device, all detached.

    Attributes:
        base_loss_N: unweighted.
        difficulty_N: its mean over a sample's visible keypoints, where each has its own; one in the vanilla arm.
        error_N: mean distance of a sample's visible keypoints from their labels, in crop pixels.
        critic_objective: L_d; zero in the vanilla arm.
    """

    base_loss_N: torch.Tensor
    difficulty_N: torch.Tensor
    error_N: torch.Tensor
    critic_objective: torch.Tensor


class Update(Protocol):
    """An optimiser with the gradients that gather for it."""

    def accumulate(self, loss: torch.Tensor) -> None:
        """Add the gradient of a scalar loss."""

    def apply(self, gradient_scale: torch.Tensor | None = None) -> None:
        """One step with the gradients so far, averaged over the devices and times a scalar; then forget them."""


@dataclass(slots=True)
class TrainingStep:
    """f updates with respect to difficulty times base loss, d with respect to its own objective, once each per batch.

    Attributes:
        network, critic: f and d; the critic is None for the vanilla arm.
        network_update, critic_update: their optimisers.
        mean_over_devices: of a tensor.
        without_sync: context in which f's gradients stay on the device, if its argument is true.
        statistics: of the steps so far; each step replaces them.
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
    statistics: RunningStatistics = field(default_factory=RunningStatistics)

    def __call__(self, parts: Sequence[BatchPart], *, weighted: bool = True) -> StepRecord:
        """One batch, in parts of equal size; exactly the step of the whole batch, but for batch norm's statistics.

        Weights of mean one divide by the mean weight of the whole batch, which is known only after its last part: a
        factor common to all samples, it multiplies the gathered gradient. Running statistics are those from before.

        Args:
            parts: of this device's share of the batch.
            weighted: without it the critic learns and all weights are one.
        """
        share, forwards = 1 / len(parts), []
        for number, part in enumerate(parts, start=1):
            with self.without_sync(number < len(parts)):
                forward = self._forward(part, share, weighted=weighted)
                self.network_update.accumulate(share * forward.afl_N.mean())
            forwards.append(forward)
        if self.critic is not None:
            self.critic_update.apply()

        columns = torch.stack([torch.cat(column) for column in zip(*(one.columns for one in forwards), strict=True)])
        base_loss_N, difficulty_N, error_N, *_ = columns
        _, _, error, weight, quality, quality_squared = self.mean_over_devices(columns.mean(dim=1))
        self.network_update.apply(weight_scale(weight, self.afl))
        self.statistics = self.statistics.updated(quality, quality_squared, error)
        objective = torch.stack([one.critic_objective for one in forwards]).mean()
        return StepRecord(base_loss_N, difficulty_N, error_N, objective)

    def _forward(self, part: BatchPart, share: float, *, weighted: bool) -> "_Forward":
        """The loss of each sample; the critic's gradient is added to what has gathered."""
        target, visible_NK = part.target, part.target.visible_NK
        prediction = read_maps(self.network(part.images_N3HW).float(), self.codec)
        base_loss_NK = self.base_loss(prediction, target) * visible_NK
        base_loss_N = mean_over_visible(base_loss_NK.detach(), visible_NK)
        error_N = mean_error(prediction, target, self.codec)
        if self.critic is None:
            one, none = torch.ones_like(base_loss_N), torch.zeros_like(base_loss_N)
            columns = (base_loss_N, one, error_N, one, none, none)
            return _Forward(mean_over_visible(base_loss_NK, visible_NK), columns, base_loss_N.new_zeros(()))

        objective, quality_Nk = judge(
            self.critic, prediction, target, part.chance, base_loss_N, self.statistics, self.codec, self.afl
        )
        self.critic_update.accumulate(share * objective)
        difficulty_Nk = difficulty(in_range(quality_Nk, self.statistics, self.afl))
        weight_Nk = weights(difficulty_Nk, base_loss_NK, visible_NK, part.chance.lots_NK, self.afl)
        if not weighted:
            weight_Nk = torch.ones_like(weight_Nk)
        afl_N = mean_over_visible(weight_Nk * base_loss_NK, visible_NK)  # equation 4
        difficulty_N, weight_N, quality_N, quality_squared_N = (
            per_sample(values, visible_NK, self.afl)
            for values in (difficulty_Nk, weight_Nk, quality_Nk, quality_Nk.square())
        )
        columns = (base_loss_N, difficulty_N, error_N, weight_N, quality_N, quality_squared_N)
        return _Forward(afl_N, columns, objective.detach())


class _Forward(NamedTuple):
    """One part's losses, with their graph; what is known of its samples, (N,) each; and the critic's objective."""

    afl_N: torch.Tensor
    columns: tuple[torch.Tensor, ...]
    critic_objective: torch.Tensor


def mean_error(prediction: Prediction, target: Target, codec: KeypointCodec) -> torch.Tensor:
    """Mean distance (N,) of the decoded places of visible keypoints from their labels, in crop pixels."""
    difference = prediction.points_in_heatmap_NK2.detach() - target.points_in_heatmap_NK2
    distance_NK = (difference * difference.new_tensor(codec.cell_size)).norm(dim=-1)
    return mean_over_visible(distance_NK, target.visible_NK)
