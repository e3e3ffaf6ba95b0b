"""The critic d and the procedure WGAN_GP of Algorithm 2, which trains it and has it judge.

Sections and equations are those of the paper "Adversarial Focal Loss: Asking Your Discriminator for Hard Examples".
N samples, K keypoints.
"""

from itertools import pairwise
from typing import NamedTuple, Protocol

import torch
from torch import nn
from torch.nn import functional

_LEAK = 0.2


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


class DifferentiableCritic(Protocol):
    """What `criticise` asks of a critic of any representation (N, ...)."""

    def __call__(self, representation: torch.Tensor, /) -> torch.Tensor:
        """Quality (N,)."""

    def slope(self, representation: torch.Tensor, /) -> torch.Tensor:
        """The gradient of each quality with respect to its representation, differentiable in the critic's weights."""


class CriticOutput(NamedTuple):
    """What the procedure answers; all but the objective is detached, and from before the critic moves.

    Attributes:
        objective: L_d of Algorithm 2, mean over the batch.
        predicted_quality_N: d(t(y')) of each prediction.
        slope_N2KK: of d between truth and prediction, whose norm the gradient penalty draws to one.
    """

    objective: torch.Tensor
    predicted_quality_N: torch.Tensor
    slope_N2KK: torch.Tensor


def criticise(
    critic: DifferentiableCritic,
    true_N2KK: torch.Tensor,
    predicted_N2KK: torch.Tensor,
    mixing_N: torch.Tensor,
    penalty: float,
    drift_penalty: float = 0.0,
) -> CriticOutput:
    """L_d = -d(y) + d(y') + gp_term, mean over the batch.

    Args:
        critic: d.
        true_N2KK, predicted_N2KK: topologies t(y) and t(y'), or what else of shape (N, ...) stands for label and
            prediction; no gradient flows back through them.
        mixing_N: alpha of each sample, uniform in [0, 1): where between truth and prediction the slope is penalised.
        penalty: lambda of the gradient penalty.
        drift_penalty: times d(y)^2, added to the objective (Karras et al. 2018, appendix A.1); the paper has none.
    """
    true_N2KK, predicted_N2KK = true_N2KK.detach(), predicted_N2KK.detach()
    true_quality, predicted_quality = critic(true_N2KK), critic(predicted_N2KK)
    alpha = mixing_N.view(-1, *[1] * (true_N2KK.dim() - 1))
    slope = critic.slope(alpha * true_N2KK + (1 - alpha) * predicted_N2KK)
    gp_term = penalty * (slope.flatten(1).norm(dim=1) - 1).square()
    objective = (-true_quality + predicted_quality + gp_term + drift_penalty * true_quality.square()).mean()
    return CriticOutput(objective, predicted_quality.detach(), slope.detach())
