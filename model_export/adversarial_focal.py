"""Adversarial Focal Loss: the critic's judgement of a batch, the detached difficulty, and the weights it becomes.

Sections and equations are those of the paper "Adversarial Focal Loss: Asking Your Discriminator for Hard Examples".
N samples, K keypoints; Nk stands for (N, 1), a value for each sample, or (N, K), one for each of its keypoints.
"""

from typing import NamedTuple

import torch

from model_export.adversarial_focal_section import AdversarialFocal
from model_export.base_losses import Target
from model_export.critic import Critic, criticise
from model_export.heatmap_decoding import Prediction
from model_export.running_statistics import RunningStatistics
from model_export.topology import PointSet, jittered, label_points, predicted_points, topology
from model_export.weight_controls import CONTROLS
from service.contract.keypoint_codec import KeypointCodec

_SMALLEST_MEAN = 1e-12
_SMALLEST_VARIANCE = 1e-12


class Chance(NamedTuple):
    """What of a step is left to chance, drawn for the whole batch whichever device a sample falls to.

    Attributes:
        mixing_N: alpha of the critic's gradient penalty, uniform in [0, 1).
        noise_NK2: standard normal, for `true_side` jittered_labels; None for others.
        lots_NK: uniform, for `control` shuffled; None for others.
    """

    mixing_N: torch.Tensor
    noise_NK2: torch.Tensor | None
    lots_NK: torch.Tensor | None


class Judgement(NamedTuple):
    """The critic's objective L_d, and the quality d(t(y')) of what is judged, detached and from before it moves."""

    objective: torch.Tensor
    quality_Nk: torch.Tensor


def judge(
    critic: Critic,
    prediction: Prediction,
    target: Target,
    chance: Chance,
    base_loss_N: torch.Tensor,
    statistics: RunningStatistics,
    codec: KeypointCodec,
    afl: AdversarialFocal,
) -> Judgement:
    """Have the critic judge the predictions of a batch against what `afl.true_side` names."""
    with torch.no_grad():
        size = codec.heatmap_width, codec.heatmap_height
        predicted = topology(predicted_points(prediction, target, afl), *size)
        true = topology(true_points(target, chance, statistics, codec, afl), *size)
    if afl.true_side == "better_half":
        return judge_halves(critic, predicted, base_loss_N, chance.mixing_N, afl)
    output = criticise(critic, true, predicted, chance.mixing_N, afl.gradient_penalty, afl.drift_penalty)
    if afl.acts_per == "sample":
        return Judgement(output.objective, output.predicted_quality_N.unsqueeze(1))
    shortfall = shortfall_of_keypoints(output.slope_N2KK, true - predicted, target.visible_NK)
    return Judgement(output.objective, output.predicted_quality_N.unsqueeze(1) - shortfall)


def true_points(
    target: Target, chance: Chance, statistics: RunningStatistics, codec: KeypointCodec, afl: AdversarialFocal
) -> PointSet:
    """The labels, moved as `afl.true_side` asks for: as far as predictions err, the critic has to judge their shape."""
    labels = label_points(target)
    if afl.true_side != "jittered_labels":
        return labels
    assert chance.noise_NK2 is not None
    return jittered(labels, chance.noise_NK2 / chance.noise_NK2.new_tensor(codec.cell_size), statistics.error)


def judge_halves(
    critic: Critic,
    predicted_N2KK: torch.Tensor,
    base_loss_N: torch.Tensor,
    mixing_N: torch.Tensor,
    afl: AdversarialFocal,
) -> Judgement:
    """The critic told the better half of a batch's predictions from the worse one, by their base loss.

    So it need not see how predictions differ from labels, which all of them do, but what distinguishes bad ones. Of an
    odd number the middle one trains nothing; all are judged.
    """
    order, half = base_loss_N.argsort(), len(base_loss_N) // 2
    better, worse = predicted_N2KK[order[:half]], predicted_N2KK[order[len(order) - half :]]
    output = criticise(critic, better, worse, mixing_N[:half], afl.gradient_penalty, afl.drift_penalty)
    with torch.no_grad():
        return Judgement(output.objective, critic(predicted_N2KK).unsqueeze(1))


def shortfall_of_keypoints(
    slope_N2KK: torch.Tensor, difference_N2KK: torch.Tensor, visible_NK: torch.Tensor
) -> torch.Tensor:
    """How far each keypoint's part in a sample's lack of quality is above that of the mean keypoint: (N, K).

    The slope at a random place between prediction and truth, times their difference and summed, is on average over
    that place the difference of their qualities (integrated gradients, Sundararajan et al. 2017, section 3). Half of
    what a pair of keypoints adds is counted for each of the two. A sample's mean over its visible keypoints is zero:
    the sample's quality stays what the critic said.

    Args:
        slope_N2KK: of the critic.
        difference_N2KK: t(y) - t(y').
        visible_NK: whose keypoints count; elsewhere the shortfall is zero.
    """
    part = (slope_N2KK * difference_N2KK).sum(dim=1)
    part_NK = 0.5 * (part.sum(dim=1) + part.sum(dim=2)) * visible_NK
    count = visible_NK.sum(dim=1, keepdim=True)
    return (count * part_NK - part_NK.sum(dim=1, keepdim=True)) * visible_NK


def difficulty(quality_Nk: torch.Tensor) -> torch.Tensor:
    """The score of Eq. 4, sigmoid(-d(t(y'))), detached: in (0, 1), larger for harder ones."""
    return torch.sigmoid(-quality_Nk.detach())


def in_range(quality_Nk: torch.Tensor, statistics: RunningStatistics, afl: AdversarialFocal) -> torch.Tensor:
    """The qualities as `afl.score` hands them to the sigmoid.

    Only their differences matter to the critic's objective: by itself it lets them drift anywhere.
    """
    if afl.score == "as_printed":
        return quality_Nk
    centred = quality_Nk - statistics.quality_mean.to(quality_Nk)
    if afl.score == "centred":
        return centred
    return centred / statistics.quality_variance.to(quality_Nk).clamp_min(_SMALLEST_VARIANCE).sqrt()


def weights(
    difficulty_Nk: torch.Tensor,
    base_loss_NK: torch.Tensor,
    visible_NK: torch.Tensor,
    lots_NK: torch.Tensor | None,
    afl: AdversarialFocal,
) -> torch.Tensor:
    """What multiplies the base losses, but for the factor common to a batch (`weight_scale`): (N, 1) or (N, K).

    The difficulties to the power `afl.strength`, handed out as `afl.control` says.
    """
    weight_Nk = difficulty_Nk if afl.strength == 1 else difficulty_Nk.pow(afl.strength)
    if afl.control == "none":
        return weight_Nk
    per_keypoint = afl.acts_per == "keypoint"
    counted = visible_NK if per_keypoint else torch.ones_like(weight_Nk, dtype=torch.bool)
    loss_Nk = base_loss_NK if per_keypoint else mean_over_visible(base_loss_NK, visible_NK).unsqueeze(1)
    lots = None if lots_NK is None else lots_NK[:, : counted.shape[1]][counted]
    controlled_Nk = weight_Nk.clone()
    controlled_Nk[counted] = CONTROLS[afl.control](weight_Nk[counted], loss_Nk.detach()[counted], lots)
    return controlled_Nk


def mean_over_visible(values_NK: torch.Tensor, visible_NK: torch.Tensor) -> torch.Tensor:
    """A sample's mean over its visible keypoints (N,); zero for one without any."""
    return (values_NK * visible_NK).sum(dim=1) / visible_NK.sum(dim=1).clamp_min(1)


def per_sample(values_Nk: torch.Tensor, visible_NK: torch.Tensor, afl: AdversarialFocal) -> torch.Tensor:
    """One value for each sample (N,), whichever `afl.acts_per` they belong to."""
    return values_Nk.squeeze(1) if afl.acts_per == "sample" else mean_over_visible(values_Nk, visible_NK)


def weight_scale(mean_weight: torch.Tensor, afl: AdversarialFocal) -> torch.Tensor:
    """The factor common to a batch: one as printed, or such that the mean of the weights is one.

    Args:
        mean_weight: over the whole batch, all devices and parts of it.
        afl: `weights` says which.
    """
    if afl.weights == "as_printed":
        return torch.ones_like(mean_weight)
    return 1 / mean_weight.clamp_min(_SMALLEST_MEAN)
