"""The two optimisers of a step, f's and d's (see `training_step.Update`)."""

from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import nn

from model_export.critic import Critic
from model_export.devices import average_gradients


@dataclass(frozen=True, slots=True)
class NetworkUpdate:
    """f's: Fabric wraps it, for precision and for the mean of the gradients over the devices.

    Attributes:
        gradient_clip: greatest norm of the gradient; 0 for any.
    """

    fabric: Fabric
    network: nn.Module
    optimiser: torch.optim.Optimizer
    gradient_clip: float

    def accumulate(self, loss: torch.Tensor) -> None:
        """Add the gradient of a scalar loss."""
        self.fabric.backward(loss)

    def apply(self, gradient_scale: torch.Tensor | None = None) -> None:
        """One step with the gradients so far times a scalar; then forget them."""
        _scale_gradients(self.network, gradient_scale)
        if self.gradient_clip:
            # Not finite is no fault with loss scaling, which leaves that step out; without it, the loss is not finite
            # from then on, which `EpochProgress.check` finds.
            self.fabric.clip_gradients(
                self.network, self.optimiser, max_norm=self.gradient_clip, error_if_nonfinite=False
            )
        self.optimiser.step()
        self.optimiser.zero_grad()


@dataclass(frozen=True, slots=True)
class CriticUpdate:
    """d's. Nothing wraps it: its gradient penalty differentiates twice, in float32; see `devices.average_gradients`."""

    fabric: Fabric
    critic: Critic
    optimiser: torch.optim.Optimizer

    def accumulate(self, loss: torch.Tensor) -> None:
        """Add the gradient of a scalar loss."""
        loss.backward()  # type: ignore[no-untyped-call]

    def apply(self, gradient_scale: torch.Tensor | None = None) -> None:
        """One step with the gradients so far, averaged over the devices and times a scalar; then forget them."""
        average_gradients(self.fabric, self.critic.parameters())
        _scale_gradients(self.critic, gradient_scale)
        self.optimiser.step()
        self.optimiser.zero_grad()


def _scale_gradients(network: nn.Module, scale: torch.Tensor | None) -> None:
    if scale is not None:
        torch._foreach_mul_([weight.grad for weight in network.parameters() if weight.grad is not None], scale)
