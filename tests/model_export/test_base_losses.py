"""Base losses: unreduced, and what they say of known differences."""

import math

import pytest
import torch

from model_export.base_losses import (
    BASE_LOSSES,
    HARD_KEYPOINTS,
    Target,
    adaptive_wing,
    heatmap_cross_entropy,
    heatmap_mse,
    joints_mse,
    joints_mse_ohkm,
    soft_argmax_l1,
    weighted_sum,
)
from model_export.errors import RecipeError
from model_export.heatmap_decoding import Prediction, read_maps
from service.contract.heatmap_decoding import HeatmapDecoding
from service.contract.keypoint_codec import KeypointCodec

CODEC = KeypointCodec(heatmap_width=16, heatmap_height=16, stride=4, sigma=1.0, decoding="soft_argmax")


def batch() -> tuple[Prediction, Target]:
    torch.manual_seed(0)
    maps = torch.randn(3, 4, 16, 16)
    places = torch.rand(3, 4, 2) * 15
    heatmaps = torch.from_numpy(CODEC.encode(CODEC.to_crop(places.numpy())))
    return read_maps(maps, CODEC), Target(heatmaps, places, torch.ones(3, 4, dtype=torch.bool))


@pytest.mark.parametrize("name", BASE_LOSSES)
def test_a_base_loss_has_one_value_per_sample_and_keypoint_and_samples_do_not_mix(name: str) -> None:
    prediction, target = batch()
    loss = BASE_LOSSES[name](prediction, target)
    assert loss.shape == (3, 4)
    alone = BASE_LOSSES[name](Prediction(*(part[1:2] for part in prediction)), Target(*(part[1:2] for part in target)))
    assert torch.allclose(loss[1:2], alone, rtol=1e-5)


def test_mse_is_the_mean_squared_difference_of_the_cells() -> None:
    prediction, target = batch()
    shifted = prediction._replace(heatmaps_NKhw=target.heatmaps_NKhw + 0.5)
    assert torch.allclose(heatmap_mse(shifted, target), torch.full((3, 4), 0.25))


def test_the_steps_mean_of_joints_mse_is_the_originals_loss() -> None:
    """Per keypoint half the mean over batch and cells of both maps times their weight, then the mean over keypoints."""
    prediction, target = batch()
    target = target._replace(visible_NK=torch.tensor([[True] * 4, [True, False, True, False], [False] * 4]))
    weight = target.visible_NK.float()
    original = torch.zeros(())
    for k in range(4):
        found = prediction.heatmaps_NKhw[:, k].flatten(1) * weight[:, k : k + 1]
        wanted = target.heatmaps_NKhw[:, k].flatten(1) * weight[:, k : k + 1]
        original += 0.5 * torch.nn.functional.mse_loss(found, wanted) / 4
    loss_NK = joints_mse(prediction, target) * target.visible_NK
    step_N = loss_NK.sum(dim=1) / target.visible_NK.sum(dim=1).clamp_min(1)
    assert torch.allclose(step_N.mean(), original, rtol=1e-5)


def test_the_steps_mean_of_the_hardest_keypoints_is_the_originals_loss() -> None:
    """By hand: half the mean over the cells for each visible keypoint, the eight largest summed, divided by eight."""
    torch.manual_seed(0)
    maps, heatmaps = torch.randn(3, 11, 6, 6), torch.rand(3, 11, 6, 6)
    visible = torch.rand(3, 11) > 0.2
    visible[2] = torch.arange(11) < 3  # fewer than eight: still divided by eight
    prediction = Prediction(maps, maps, torch.zeros(3, 11, 2))
    loss_NK = joints_mse_ohkm(prediction, Target(heatmaps, torch.zeros(3, 11, 2), visible)) * visible
    step_N = loss_NK.sum(dim=1) / visible.sum(dim=1)
    for sample in range(3):
        each = [
            0.5 * (maps[sample, k] - heatmaps[sample, k]).square().mean().item() if visible[sample, k] else 0.0
            for k in range(11)
        ]
        assert step_N[sample].item() == pytest.approx(sum(sorted(each)[-8:]) / 8, rel=1e-5)
    assert HARD_KEYPOINTS == 8


def wing(difference: float, y: float) -> float:
    """The paper's equation 3 with its own A and C."""
    alpha, omega, epsilon, theta = 2.1, 14.0, 1.0, 0.5
    power = alpha - y
    at_theta = math.pow(theta / epsilon, power)
    a = omega * (1 / (1 + at_theta)) * power * math.pow(theta / epsilon, power - 1) * (1 / epsilon)
    c = theta * a - omega * math.log(1 + at_theta)
    if abs(difference) < theta:
        return omega * math.log(1 + math.pow(abs(difference / epsilon), power))
    return a * abs(difference) - c


def test_adaptive_wing_is_the_papers_cell_by_cell_and_its_map_weighs_what_lies_near() -> None:
    """One cell of 0.2, which reaches into its eight neighbours, one of 1 with a predicted 0.3; the rest is empty."""
    target, found = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    target[0, 0, 1, 1], target[0, 0, 6, 6] = 0.2, 1.0
    found[0, 0, 1, 2], found[0, 0, 6, 6], found[0, 0, 1, 6], found[0, 0, 4, 4] = 0.4, 0.3, 0.9, -0.6
    prediction, nowhere = Prediction(found, found, torch.zeros(1, 1, 2)), torch.zeros(1, 1, 2)
    loss = adaptive_wing(prediction, Target(target, nowhere, torch.ones(1, 1, dtype=torch.bool)))
    near = wing(0.4, 0.0) + wing(0.2, 0.2) + wing(0.7, 1.0)
    far = wing(0.9, 0.0) + wing(0.6, 0.0)
    assert loss.item() == pytest.approx((11 * near + far) / 64, rel=1e-5)


def test_adaptive_wing_has_a_finite_gradient_where_prediction_and_target_agree() -> None:
    target = torch.rand(1, 2, 5, 5)
    found = target.clone().requires_grad_()
    points, visible = torch.zeros(1, 2, 2), torch.ones(1, 2, dtype=torch.bool)
    adaptive_wing(Prediction(found, found, points), Target(target, points, visible)).sum().backward()  # type: ignore[no-untyped-call]
    assert found.grad is not None
    assert (found.grad == 0).all()


def test_l1_is_the_distance_in_cells_along_both_axes() -> None:
    prediction, target = batch()
    moved = target.points_in_heatmap_NK2 + torch.tensor([1.5, -2.0])
    assert torch.allclose(soft_argmax_l1(prediction._replace(points_in_heatmap_NK2=moved), target), torch.tensor(3.5))


def test_cross_entropy_is_least_at_the_target_and_log_of_the_cells_for_a_flat_map() -> None:
    prediction, target = batch()
    flat = heatmap_cross_entropy(prediction._replace(maps_NKhw=torch.zeros(3, 4, 16, 16)), target)
    assert torch.allclose(flat, torch.tensor(math.log(16 * 16)))
    ideal = heatmap_cross_entropy(prediction._replace(maps_NKhw=target.heatmaps_NKhw.clamp_min(1e-30).log()), target)
    assert (ideal < heatmap_cross_entropy(prediction, target)).all()


def test_a_sum_adds_each_loss_times_its_weight() -> None:
    prediction, target = batch()
    expected = 2 * heatmap_mse(prediction, target) + 0.5 * soft_argmax_l1(prediction, target)
    base_loss = weighted_sum({"heatmap_mse": 2, "soft_argmax_l1": 0.5}, "soft_argmax")
    assert torch.allclose(base_loss(prediction, target), expected)


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(RecipeError, match=r"unknown key base_losses\.l7: expected some of heatmap_mse"):
        weighted_sum({"l7": 1.0}, "soft_argmax")


@pytest.mark.parametrize("decoding", ["peak", "quarter_step", "dark", "dark_udp"])
@pytest.mark.parametrize("name", ["soft_argmax_l1", "heatmap_cross_entropy"])
def test_a_loss_of_logits_is_refused_where_maps_are_heatmaps(name: str, decoding: HeatmapDecoding) -> None:
    expected = f"base_losses.{name} trains logits, which codec.decoding {decoding} takes for heatmaps: .*joints_mse"
    with pytest.raises(RecipeError, match=expected):
        weighted_sum({"heatmap_mse": 1.0, name: 0.5}, decoding)
    weighted_sum({"heatmap_mse": 1.0, "joints_mse": 0.5}, decoding)
