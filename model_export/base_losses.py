"""Base losses: unreduced, one value per sample and keypoint, ignorant of difficulty and visibility.

A new one is a function and a line in `BASE_LOSSES`. N samples, K keypoints, h x w cells.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch.nn import functional

from model_export.errors import RecipeError
from model_export.heatmap_decoding import Prediction
from service.contract.heatmap_decoding import HeatmapDecoding

HARD_KEYPOINTS = 8  # of `joints_mse_ohkm`, as in CPN and HRNet

# Of `adaptive_wing`, in the paper's names; its section 4.
_WING_ALPHA, _WING_OMEGA, _WING_EPSILON, _WING_THETA = 2.1, 14.0, 1.0, 0.5
_WING_MAP, _WING_NEAR = 10.0, 0.2


class Target(NamedTuple):
    """What the labels say of a batch.

    Attributes:
        heatmaps_NKhw: the codec's Gaussians, peak one.
        points_in_heatmap_NK2: places in heatmap cells.
        visible_NK: bool; elsewhere the label means nothing.
    """

    heatmaps_NKhw: torch.Tensor
    points_in_heatmap_NK2: torch.Tensor
    visible_NK: torch.Tensor


BaseLoss = Callable[[Prediction, Target], torch.Tensor]


def heatmap_mse(prediction: Prediction, target: Target) -> torch.Tensor:
    """Squared difference of the heatmaps, mean over the cells: (N, K)."""
    return (prediction.heatmaps_NKhw - target.heatmaps_NKhw).square().mean(dim=(2, 3))


def joints_mse(prediction: Prediction, target: Target) -> torch.Tensor:
    """The loss of Simple Baselines and HRNet with target weights, half the squared difference of the heatmaps: (N, K).

    The weight, one where a keypoint is visible, multiplies both heatmaps, and the mean is over all K keypoints: those
    that are not visible dilute it. The training step averages over the visible ones, so each value is multiplied by
    their share; the step's mean of a sample is then the original's sum over K, divided by K.
    """
    weight_NK = target.visible_NK.to(prediction.heatmaps_NKhw.dtype)
    weight_NK11 = weight_NK[:, :, None, None]
    difference = prediction.heatmaps_NKhw * weight_NK11 - target.heatmaps_NKhw * weight_NK11
    return 0.5 * difference.square().mean(dim=(2, 3)) * weight_NK.mean(dim=1, keepdim=True)


def joints_mse_ohkm(prediction: Prediction, target: Target) -> torch.Tensor:
    """`joints_mse` of a sample's hardest keypoints alone, mean over those: (N, K), zero for the others.

    Online hard keypoint mining (Chen et al. 2018, section 3.2) with the count and the mean of HRNet's
    JointsOHKMMSELoss: the mean is over that count also where fewer keypoints are visible. Which are the hardest is
    found before difficulty weighs them.
    """
    visible_NK = target.visible_NK
    loss_NK = joints_mse(prediction, target)
    hard = min(HARD_KEYPOINTS, loss_NK.shape[1])
    hardest = (loss_NK.detach() * visible_NK).topk(hard, dim=1).indices
    chosen_NK = torch.zeros_like(loss_NK).scatter(1, hardest, 1.0)
    # The step's mean is over the visible keypoints, and joints_mse has their share of K in it: K / hard is left.
    return loss_NK * chosen_NK * (loss_NK.shape[1] / hard)


def adaptive_wing(prediction: Prediction, target: Target) -> torch.Tensor:
    """Adaptive Wing with its weighted loss map, mean over the cells: (N, K). Wang et al. 2019, equations 3 to 5.

    Where a cell's difference d is below theta, omega ln(1 + |d / epsilon|^(alpha - y)), y being the target there;
    above it a straight line that continues value and slope. Cells whose 3 x 3 neighbourhood in the target reaches
    0.2 count eleven times (the paper's W = 10; its code leaves out those of just 0.2).
    """
    y = target.heatmaps_NKhw
    difference = (prediction.heatmaps_NKhw - y).abs()
    power = _WING_ALPHA - y
    at_theta = (_WING_THETA / _WING_EPSILON) ** power
    slope = _WING_OMEGA / _WING_EPSILON * power * (_WING_THETA / _WING_EPSILON) ** (power - 1) / (1 + at_theta)
    curve = _WING_OMEGA * torch.log1p((difference / _WING_EPSILON) ** power)
    line = slope * (difference - _WING_THETA) + _WING_OMEGA * torch.log1p(at_theta)
    loss = torch.where(difference < _WING_THETA, curve, line)
    near = functional.max_pool2d(y, kernel_size=3, stride=1, padding=1) >= _WING_NEAR
    return (loss * (1 + _WING_MAP * near)).mean(dim=(2, 3))


def soft_argmax_l1(prediction: Prediction, target: Target) -> torch.Tensor:
    """|dx| + |dy| of the decoded place in heatmap cells: (N, K). Integral regression, Sun et al. 2018, section 2."""
    return (prediction.points_in_heatmap_NK2 - target.points_in_heatmap_NK2).abs().sum(dim=-1)


def heatmap_cross_entropy(prediction: Prediction, target: Target) -> torch.Tensor:
    """Cross entropy of the maps' softmax over all cells with the target Gaussian scaled to sum one: (N, K)."""
    log_share = functional.log_softmax(prediction.maps_NKhw.flatten(2), dim=-1)
    mass = target.heatmaps_NKhw.flatten(2)
    return -(mass * log_share).sum(dim=-1) / mass.sum(dim=-1).clamp_min(1e-6)


BASE_LOSSES: dict[str, BaseLoss] = {
    "heatmap_mse": heatmap_mse,
    "joints_mse": joints_mse,
    "joints_mse_ohkm": joints_mse_ohkm,
    "adaptive_wing": adaptive_wing,
    "soft_argmax_l1": soft_argmax_l1,
    "heatmap_cross_entropy": heatmap_cross_entropy,
}


# These take the maps for logits, which the codec decodes by soft-argmax only. Another decoding takes them for heatmaps,
# and would read what was never trained to be one.
_OF_LOGITS = ("soft_argmax_l1", "heatmap_cross_entropy")


def weighted_sum(weights: Mapping[str, float], decoding: HeatmapDecoding) -> BaseLoss:
    """The base loss that adds the named ones, each times its weight, for maps that are decoded so.

    Raises:
        RecipeError: there is no base loss of one of the names, or it trains maps that the decoding cannot read.
    """
    for name in weights:
        if name not in BASE_LOSSES:
            raise RecipeError(f"unknown key base_losses.{name}: expected some of {', '.join(BASE_LOSSES)}")
        if name in _OF_LOGITS and decoding != "soft_argmax":
            fitting = [other for other in BASE_LOSSES if other not in _OF_LOGITS]
            raise RecipeError(
                f"base_losses.{name} trains logits, which codec.decoding {decoding} takes for heatmaps: expected "
                f"decoding soft_argmax, or some of {', '.join(fitting)}"
            )

    def base_loss(prediction: Prediction, target: Target) -> torch.Tensor:
        terms = [weight * BASE_LOSSES[name](prediction, target) for name, weight in weights.items()]
        return torch.stack(terms).sum(dim=0)

    return base_loss
