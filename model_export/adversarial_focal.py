"""Adversarial Focal Loss: the topology of keypoints, the critic, its objective, and the detached difficulty.

Sections and equations are those of the paper "Adversarial Focal Loss: Asking Your Discriminator for Hard Examples".
N samples, K keypoints.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from model_export.base_losses import Target
from model_export.heatmap_decoding import Prediction, centre_of_mass, refined_peak
from model_export.recipe import AdversarialFocal

_TINY = 1e-12
_LEAK = 0.2


class PointSet(NamedTuple):
    """Places (N, K, 2) in heatmap cells, and which of them exist (N, K)."""

    points_NK2: torch.Tensor
    exists_NK: torch.Tensor


def topology(point_set: PointSet, width: int, height: int) -> torch.Tensor:
    """The topology extractor t of appendix A.2: planar and angular affinity, (N, 2, K, K).

    Planar (Eq. 5): one minus the distance of two keypoints over the map's diagonal. Angular (Eq. 6): half of one plus
    the cosine of the angle at the global centroid of the existing keypoints. Rows and columns of keypoints that do not
    exist are zero; the diagonal of one that exists is one, also where it lies on the centroid and has no angle.

    Args:
        point_set: places in cells of a map of `width` x `height`.
        width, height: size of that map.
    """
    exists = point_set.exists_NK.to(point_set.points_NK2.dtype)
    points = point_set.points_NK2 * exists.unsqueeze(-1)
    distance = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    planar = 1 - distance / (width**2 + height**2) ** 0.5

    centroid = points.sum(dim=1, keepdim=True) / exists.sum(dim=1).clamp_min(1).view(-1, 1, 1)
    direction = functional.normalize(points - centroid, dim=-1, eps=_TINY)
    angular = 0.5 + 0.5 * direction @ direction.mT
    angular = angular.diagonal_scatter(torch.ones_like(exists), dim1=1, dim2=2)

    both_exist = exists.unsqueeze(2) * exists.unsqueeze(1)
    return torch.stack([planar, angular], dim=1) * both_exist.unsqueeze(1)


def label_points(target: Target) -> PointSet:
    """The labels as the critic sees them: a keypoint exists where it is visible."""
    return PointSet(target.points_in_heatmap_NK2, target.visible_NK)


def predicted_points(prediction: Prediction, target: Target, settings: AdversarialFocal) -> PointSet:
    """The prediction as the critic sees it; `settings.place` and `settings.existence` say how it is read.

    The paper has no centroid for a map without a response above the threshold, since there the keypoint is missing.
    Where it exists by its label, its place is then the map's peak: one fixed place would tell the critic of an empty
    map, not of a shape.
    """
    heatmaps = prediction.heatmaps_NKhw
    responds = heatmaps.amax(dim=(2, 3)) > settings.threshold
    if settings.place == "soft_argmax":
        points = centre_of_mass(heatmaps.clamp_min(0))
    elif settings.place == "peak":
        points = refined_peak(heatmaps)
    else:
        centroids = centre_of_mass(heatmaps * (heatmaps > settings.threshold))
        points = torch.where(responds.unsqueeze(-1), centroids, refined_peak(heatmaps))
    exists = target.visible_NK if settings.existence == "label" else responds
    return PointSet(points, exists)


class Critic(nn.Module):
    """The critic d: four 3x3 convolutions of stride two (16-32-64-128, LeakyReLU) and a linear layer.

    The convolutional stack that the paper's 0.00056 GFLOPs fit, with global mean pooling so that one class serves any
    K. It has 97,425 parameters, the paper's 0.0097 M. No batch norm: the gradient penalty is defined per sample
    (Gulrajani et al. 2017, section 4).
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (2, 16, 32, 64, 128)
        self._layers = [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1) for inputs, outputs in pairwise(widths)]
        self.convolutions = nn.ModuleList(self._layers)
        self.quality = nn.Linear(widths[-1], 1)

    def forward(self, topology_N2KK: torch.Tensor) -> torch.Tensor:
        """Quality (N,): larger where the topology looks like that of true keypoints."""
        features = topology_N2KK
        for convolution in self._layers:
            features = functional.leaky_relu(convolution(features), _LEAK)
        quality: torch.Tensor = self.quality(features.mean(dim=(2, 3)))
        return quality.squeeze(1)

    def slope(self, topology_N2KK: torch.Tensor) -> torch.Tensor:
        """The gradient (N, 2, K, K) of each quality with respect to its topology, differentiable in d's weights.

        Between its kinks d is linear: its gradient is the chain of the transposed convolutions, with each LeakyReLU
        replaced by the factor at which it stands. Written out, it needs no second differentiation through the first,
        which makes a critic step a fifth to a third cheaper on a CPU.
        """
        leak = topology_N2KK.new_tensor(_LEAK)
        factors, sizes = [], []
        with torch.no_grad():  # where the kinks lie does not depend smoothly on the weights
            features = topology_N2KK
            for convolution in self._layers:
                sizes.append(features.shape[2:])
                response = convolution(features)
                factors.append(torch.where(response > 0, torch.ones_like(leak), leak))
                features = response * factors[-1]
        slope = self.quality.weight.view(1, -1, 1, 1).expand_as(features) / features[0, 0].numel()
        for convolution, factor, size in zip(reversed(self._layers), reversed(factors), reversed(sizes), strict=True):
            odd = [(side + 1) % 2 for side in size]  # a side that is even loses one in the convolution
            slope = functional.conv_transpose2d(
                slope * factor, convolution.weight, stride=2, padding=1, output_padding=odd
            )
        return slope


class CriticOutput(NamedTuple):
    """L_d of Algorithm 2, and the quality d(t(y')) of each prediction, detached, from before the critic moves."""

    objective: torch.Tensor
    predicted_quality_N: torch.Tensor


def criticise(
    critic: Critic, true_N2KK: torch.Tensor, predicted_N2KK: torch.Tensor, mixing_N: torch.Tensor, penalty: float
) -> CriticOutput:
    """The procedure WGAN_GP of Algorithm 2: L_d = -d(y) + d(y') + gp_term, mean over the batch.

    Args:
        critic: d.
        true_N2KK, predicted_N2KK: topologies t(y) and t(y'); no gradient flows back through them.
        mixing_N: alpha of each sample, uniform in [0, 1): where between truth and prediction the slope is penalised.
        penalty: lambda of the gradient penalty.
    """
    true_N2KK, predicted_N2KK = true_N2KK.detach(), predicted_N2KK.detach()
    true_quality, predicted_quality = critic(true_N2KK), critic(predicted_N2KK)
    alpha = mixing_N.view(-1, 1, 1, 1)
    mixed = alpha * true_N2KK + (1 - alpha) * predicted_N2KK
    gp_term = penalty * (critic.slope(mixed).flatten(1).norm(dim=1) - 1).square()
    objective = (-true_quality + predicted_quality + gp_term).mean()
    return CriticOutput(objective, predicted_quality.detach())


def difficulty(predicted_quality_N: torch.Tensor) -> torch.Tensor:
    """The score of Eq. 4, sigmoid(-d(t(y'))), detached: (N,) in (0, 1), larger for harder samples."""
    return torch.sigmoid(-predicted_quality_N.detach())


def weight_scale(mean_difficulty: torch.Tensor, settings: AdversarialFocal) -> torch.Tensor:
    """The factor that turns the difficulties of a batch into weights: one as printed, or such that their mean is one.

    Args:
        mean_difficulty: over the whole batch, all devices and parts of it.
        settings: `weights` says which.
    """
    if settings.weights == "as_printed":
        return torch.ones_like(mean_difficulty)
    return 1 / mean_difficulty.clamp_min(_TINY)
