"""Adversarial Focal Loss: topology, critic, objective, difficulty."""

import numpy as np
import pytest
import torch

from model_export.adversarial_focal import (
    Critic,
    PointSet,
    criticise,
    difficulty,
    predicted_points,
    topology,
    weight_scale,
)
from model_export.base_losses import Target
from model_export.heatmap_decoding import read_maps
from model_export.recipe import AdversarialFocal
from service.contract.keypoint_codec import KeypointCodec

WIDTH, HEIGHT = 32, 24
CODEC = KeypointCodec(WIDTH, HEIGHT, 4, 1.0, "peak")


def settings(**changes: object) -> AdversarialFocal:
    values = {
        "enabled": True,
        "place": "peak",
        "existence": "label",
        "threshold": 0.1,
        "weights": "as_printed",
        "gradient_penalty": 10.0,
        "critic_learning_rate": 2e-4,
        "critic_betas": (0.5, 0.999),
    }
    return AdversarialFocal.model_validate(values | changes)


def points(*places: tuple[float, float], exists: list[bool] | None = None) -> PointSet:
    return PointSet(torch.tensor([places]), torch.tensor([exists or [True] * len(places)]))


def test_planar_affinity_is_one_minus_distance_over_the_diagonal() -> None:
    planar = topology(points((0.0, 0.0), (24.0, 18.0), (0.0, 18.0)), 32, 24)[0, 0]  # the diagonal is 40
    expected = [[1, 1 - 30 / 40, 1 - 18 / 40], [1 - 30 / 40, 1, 1 - 24 / 40], [1 - 18 / 40, 1 - 24 / 40, 1]]
    assert torch.allclose(planar, torch.tensor(expected))


def test_angular_affinity_is_the_angle_at_the_centroid() -> None:
    # A square around its centroid (2, 2): neighbours stand at a right angle, opposite corners at a straight one.
    angular = topology(points((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)), 32, 24)[0, 1]
    expected = [[1, 0.5, 0, 0.5], [0.5, 1, 0.5, 0], [0, 0.5, 1, 0.5], [0.5, 0, 0.5, 1]]
    assert torch.allclose(angular, torch.tensor(expected), atol=1e-6)


def test_a_missing_keypoint_has_empty_rows_and_does_not_move_the_others() -> None:
    whole = topology(points((0.0, 0.0), (6.0, 2.0), (3.0, 9.0)), 32, 24)
    with_ghost = topology(
        points((0.0, 0.0), (30.0, 23.0), (6.0, 2.0), (3.0, 9.0), exists=[True, False, True, True]), 32, 24
    )
    kept = [0, 2, 3]
    assert torch.allclose(with_ghost[:, :, kept][..., kept], whole, atol=1e-6)
    assert not with_ghost[:, :, 1].any()
    assert not with_ghost[..., 1].any()


def test_degenerate_sets_are_finite_and_keep_a_diagonal_of_one() -> None:
    one_place = topology(points((5.0, 5.0), (5.0, 5.0)), 32, 24)
    assert torch.isfinite(one_place).all()
    assert (one_place.diagonal(dim1=2, dim2=3) == 1).all()
    assert not topology(points((5.0, 5.0), (1.0, 1.0), exists=[False, False]), 32, 24).any()


@pytest.mark.parametrize("keypoint_count", [5, 17, 68, 133])
def test_the_critic_serves_any_number_of_keypoints(keypoint_count: int) -> None:
    critic = Critic()
    assert critic(torch.rand(3, 2, keypoint_count, keypoint_count)).shape == (3,)
    # 2(v) of the DCGAN family on two channels, global pooling and no batch norm: 97,425.
    assert sum(parameter.numel() for parameter in critic.parameters()) == 97_425


@pytest.mark.parametrize("keypoint_count", [5, 16, 68])
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


def test_difficulty_is_the_detached_sigmoid_of_minus_the_quality() -> None:
    quality = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    score = difficulty(quality)
    assert not score.requires_grad
    assert torch.allclose(score, 1 / (1 + torch.exp(quality.detach())))


def test_weights_are_the_score_or_the_score_scaled_to_mean_one() -> None:
    score = torch.tensor([0.2, 0.4, 0.6])
    assert weight_scale(score.mean(), settings(weights="as_printed")) == 1
    scaled = score * weight_scale(score.mean(), settings(weights="mean_one"))
    assert torch.allclose(scaled, torch.tensor([0.5, 1.0, 1.5]))


def _prediction_and_target() -> tuple[torch.Tensor, Target]:
    """One bright peak beside a fainter one, one response below the threshold, and one that is not labelled."""
    heatmaps = torch.zeros(1, 3, HEIGHT, WIDTH)
    heatmaps[0, 0, 10, 8], heatmaps[0, 0, 10, 12] = 0.9, 0.3
    heatmaps[0, 1, 5, 5] = 0.05
    heatmaps[0, 2, 7, 7] = 0.8
    target = Target(torch.zeros_like(heatmaps), torch.zeros(1, 3, 2), torch.tensor([[True, True, False]]))
    return heatmaps, target


@pytest.mark.parametrize(
    ("existence", "expected"), [("label", [True, True, False]), ("prediction", [True, False, True])]
)
def test_existence_comes_from_the_label_or_from_the_response(existence: str, expected: list[bool]) -> None:
    heatmaps, target = _prediction_and_target()
    found = predicted_points(read_maps(heatmaps, CODEC), target, settings(existence=existence))
    assert found.exists_NK[0].tolist() == expected


@pytest.mark.parametrize(("place", "expected_x"), [("peak", 8.0), ("thresholded_centroid", 9.0), ("soft_argmax", 9.0)])
def test_a_place_is_read_as_the_recipe_says(place: str, expected_x: float) -> None:
    heatmaps, target = _prediction_and_target()
    found = predicted_points(read_maps(heatmaps, CODEC), target, settings(place=place))
    assert np.allclose(found.points_NK2[0, 0], [expected_x, 10.0], atol=1e-4)


def test_a_map_with_no_response_above_the_threshold_has_its_place_at_its_peak() -> None:
    """Not in the middle of the map, where every empty map would lie."""
    heatmaps, target = _prediction_and_target()
    found = predicted_points(read_maps(heatmaps, CODEC), target, settings(place="thresholded_centroid"))
    assert found.exists_NK[0, 1]
    assert np.allclose(found.points_NK2[0, 1], [5.0, 5.0], atol=1e-4)
