"""What AFL's weights are to be compared with: the same numbers on other samples, or one number on all.

Each takes the place of the weights of a batch and keeps their mean, so that whatever differs is due to who gets which.
M weights: one for each sample, or for each of their visible keypoints.
"""

from collections.abc import Callable

import torch


def _as_they_are(weights_M: torch.Tensor, _losses_M: torch.Tensor, _lots_M: torch.Tensor | None) -> torch.Tensor:
    return weights_M


def shuffled(weights_M: torch.Tensor, _losses_M: torch.Tensor, lots_M: torch.Tensor | None) -> torch.Tensor:
    """The same weights in the order of random lots: what uneven weights do that know nothing."""
    assert lots_M is not None
    return weights_M[lots_M.argsort()]


def loss_ranked(weights_M: torch.Tensor, losses_M: torch.Tensor, _lots_M: torch.Tensor | None) -> torch.Tensor:
    """The same weights, the greater the loss the greater: plain weighting by the loss, without a critic's view."""
    ranked = torch.empty_like(weights_M)
    ranked[losses_M.argsort()] = weights_M.sort().values
    return ranked


def loss_ranked_reversed(weights_M: torch.Tensor, losses_M: torch.Tensor, lots_M: torch.Tensor | None) -> torch.Tensor:
    """The same weights, the greater the loss the smaller: what holding back the hard samples does."""
    return loss_ranked(weights_M, -losses_M, lots_M)


def uniform(weights_M: torch.Tensor, _losses_M: torch.Tensor, _lots_M: torch.Tensor | None) -> torch.Tensor:
    """Their mean for all: what their size alone does to the learning rate."""
    return weights_M.mean().expand_as(weights_M)


Control = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]

CONTROLS: dict[str, Control] = {
    "none": _as_they_are,
    "shuffled": shuffled,
    "loss_ranked": loss_ranked,
    "loss_ranked_reversed": loss_ranked_reversed,
    "uniform": uniform,
}
