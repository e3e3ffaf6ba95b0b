"""The critic: any number of keypoints, its slope, and the procedure WGAN_GP."""

import pytest
import torch
from torch import nn

from model_export.adversarial_focal import difficulty
from model_export.critic import Critic, criticise
from model_export.topology import PointSet, topology


@pytest.mark.parametrize("keypoint_count", [4, 17, 68, 133])
def test_the_critic_serves_any_number_of_keypoints(keypoint_count: int) -> None:
    critic = Critic()
    assert critic(torch.rand(3, 2, keypoint_count, keypoint_count)).shape == (3,)
    # 2(v) of the DCGAN family on two channels, global pooling and no batch norm: 97,425.
    assert sum(parameter.numel() for parameter in critic.parameters()) == 97_425


@pytest.mark.parametrize("keypoint_count", [4, 16, 68])
def test_the_slope_and_its_gradient_are_those_of_automatic_differentiation(keypoint_count: int) -> None:
    torch.manual_seed(0)
    critic = Critic().double()
    topologies = torch.rand(3, 2, keypoint_count, keypoint_count, dtype=torch.double).requires_grad_()
    (expected,) = torch.autograd.grad(critic(topologies).sum(), topologies, create_graph=True)
    slope = critic.slope(topologies)
    assert torch.allclose(slope, expected, atol=1e-12)
    weights = [parameter for name, parameter in critic.named_parameters() if name.endswith("weight")]
    for found, true in zip(
        torch.autograd.grad(slope.norm(), weights), torch.autograd.grad(expected.norm(), weights), strict=True
    ):
        assert torch.allclose(found, true, atol=1e-12)


def test_the_objective_is_that_of_algorithm_two() -> None:
    torch.manual_seed(0)
    critic, true, predicted = Critic(), torch.rand(4, 2, 6, 6), torch.rand(4, 2, 6, 6)
    mixing = torch.rand(4)
    output = criticise(critic, true, predicted, mixing, penalty=10.0)

    total = torch.zeros(())
    for y, y_predicted, alpha in zip(true, predicted, mixing, strict=True):
        mixup = (alpha * y + (1 - alpha) * y_predicted).unsqueeze(0).requires_grad_()
        (slope,) = torch.autograd.grad(critic(mixup).sum(), mixup)
        gp_term = 10.0 * (slope.norm() - 1) ** 2
        total += (-critic(y.unsqueeze(0)) + critic(y_predicted.unsqueeze(0)) + gp_term).squeeze()
    assert torch.allclose(output.objective, total / 4, rtol=1e-4)
    assert torch.allclose(output.predicted_quality_N, critic(predicted), atol=1e-6)


def test_the_gradient_penalty_reaches_every_weight_that_shapes_the_slope() -> None:
    torch.manual_seed(0)
    critic, same = Critic(), torch.rand(4, 2, 6, 6)
    objective = criticise(critic, same, same, torch.rand(4), penalty=10.0).objective  # only gp_term is left
    objective.backward()  # type: ignore[no-untyped-call]
    weights = [parameter for name, parameter in critic.named_parameters() if name.endswith("weight")]
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights)


def test_a_trained_critic_gives_a_worse_topology_the_greater_difficulty() -> None:
    torch.manual_seed(0)
    critic = Critic()
    optimiser = torch.optim.Adam(critic.parameters(), 1e-3, (0.5, 0.999))
    shape = torch.tensor([[4.0, 4.0], [12.0, 4.0], [8.0, 9.0], [5.0, 14.0], [11.0, 14.0]])
    everywhere = torch.ones(32, 5, dtype=torch.bool)

    def near(spread: float) -> torch.Tensor:
        return topology(PointSet(shape + spread * torch.randn(32, 5, 2), everywhere), 16, 16)

    for _ in range(60):
        optimiser.zero_grad()
        objective = criticise(critic, near(0.1), near(2.0), torch.rand(32), penalty=10.0).objective
        objective.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert difficulty(critic(near(2.0))).mean() > difficulty(critic(near(0.1))).mean()


class Planar(Critic):
    """Three times the sum of the planar channel plus four times that of the angular one: its slope is known."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor([3.0, 4.0]))

    def forward(self, topology_N2KK: torch.Tensor) -> torch.Tensor:
        return topology_N2KK.sum(dim=(2, 3)) @ self.factor

    def slope(self, topology_N2KK: torch.Tensor) -> torch.Tensor:
        return self.factor.view(1, 2, 1, 1).expand_as(topology_N2KK)


def test_the_penalty_of_a_linear_critic_by_hand() -> None:
    """The slope of two keypoints has four entries of 3 and four of 4: its norm is 10, and 10 (10 - 1)^2 = 810."""
    true, predicted = torch.zeros(2, 2, 2, 2), torch.zeros(2, 2, 2, 2)
    true[0, 0, 0, 0], predicted[1, 1, 1, 1] = 1.0, 0.5
    output = criticise(Planar(), true, predicted, torch.rand(2), penalty=10.0)
    # d(y) is 3 and 0, d(y') is 0 and 2.
    assert output.predicted_quality_N.tolist() == [0.0, 2.0]
    assert output.objective.item() == pytest.approx((-3 + 2) / 2 + 810)
    drifting = criticise(Planar(), true, predicted, torch.rand(2), penalty=10.0, drift_penalty=0.5)
    assert drifting.objective.item() == pytest.approx((-3 + 2) / 2 + 810 + 0.5 * 9 / 2)


def test_the_drift_penalty_keeps_the_quality_of_truth_near_zero() -> None:
    def trained(drift_penalty: float) -> float:
        torch.manual_seed(0)
        critic, true, predicted = Critic(), torch.rand(16, 2, 5, 5), torch.rand(16, 2, 5, 5)
        with torch.no_grad():
            critic.quality.bias.add_(3.0)
        optimiser = torch.optim.Adam(critic.parameters(), 0.02, (0.5, 0.999))
        for _ in range(40):
            optimiser.zero_grad()
            criticise(critic, true, predicted, torch.rand(16), 10.0, drift_penalty).objective.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        quality: torch.Tensor = critic(true)
        return abs(quality.mean().item())

    assert trained(1.0) < 0.5 * trained(0.0)
