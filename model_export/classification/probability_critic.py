"""The critic of classification: fully connected, as its input is a vector, "one-dimensional", and no picture."""

import torch
from torch import nn

_WIDTH = 64
_LEAK = 0.2


class ProbabilityCritic(nn.Module):
    """d: class probabilities to quality, larger where they look like the one-hot vector of a label.

    The paper gives no sizes: two hidden layers of 64.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(classes, _WIDTH),
            nn.LeakyReLU(_LEAK),
            nn.Linear(_WIDTH, _WIDTH),
            nn.LeakyReLU(_LEAK),
            nn.Linear(_WIDTH, 1),
        )

    def forward(self, probabilities_NC: torch.Tensor) -> torch.Tensor:
        """Quality (N,)."""
        quality: torch.Tensor = self.layers(probabilities_NC)
        return quality.squeeze(1)

    def slope(self, probabilities_NC: torch.Tensor) -> torch.Tensor:
        """The gradient (N, C) of each quality with respect to its probabilities, differentiable in d's weights."""
        probabilities_NC = probabilities_NC.detach().requires_grad_()
        quality_N = self(probabilities_NC)
        (slope_NC,) = torch.autograd.grad(quality_N.sum(), probabilities_NC, create_graph=True)
        return slope_NC
