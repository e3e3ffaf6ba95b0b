"""The topology extractor t of appendix A.2: how keypoints stand to one another, and what it reads them from.

Sections and equations are those of the paper "Adversarial Focal Loss: Asking Your Discriminator for Hard Examples".
N samples, K keypoints.
"""

import math
from typing import NamedTuple

import torch
from torch.nn import functional

from model_export.adversarial_focal_section import AdversarialFocal
from model_export.base_losses import Target
from model_export.heatmap_decoding import Prediction, centre_of_mass, refined_peak

_ON_THE_CENTROID = 1e-3  # cells; rounding alone moves the centroid of coinciding keypoints by 1e-5


class PointSet(NamedTuple):
    """Places (N, K, 2) in heatmap cells, and which of them exist (N, K)."""

    points_NK2: torch.Tensor
    exists_NK: torch.Tensor


def topology(point_set: PointSet, width: int, height: int) -> torch.Tensor:
    """Planar and angular affinity, (N, 2, K, K).

    Planar (Eq. 5): one minus the distance of two keypoints over the map's diagonal. Angular (Eq. 6): half of one plus
    the cosine of the angle at the global centroid of the existing keypoints. Rows and columns of keypoints that do not
    exist are zero; the diagonal of one that exists is one, also where it lies on the centroid. A keypoint there has no
    angle with the others: its cosine with them is taken for zero, so half.

    Args:
        point_set: places in cells of a map of `width` x `height`.
        width, height: size of that map.
    """
    exists = point_set.exists_NK.to(point_set.points_NK2.dtype)
    points = point_set.points_NK2 * exists.unsqueeze(-1)
    distance = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    planar = 1 - distance / (width**2 + height**2) ** 0.5

    centroid = points.sum(dim=1, keepdim=True) / exists.sum(dim=1).clamp_min(1).view(-1, 1, 1)
    direction = functional.normalize(points - centroid, dim=-1, eps=_ON_THE_CENTROID)
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


def jittered(point_set: PointSet, noise_NK2: torch.Tensor, mean_distance: torch.Tensor) -> PointSet:
    """The places moved at random, on average by `mean_distance`.

    Args:
        point_set: what to move.
        noise_NK2: standard normal; the length of such a vector is sqrt(pi / 2) on average.
        mean_distance: in heatmap cells.
    """
    return point_set._replace(points_NK2=point_set.points_NK2 + noise_NK2 * mean_distance / math.sqrt(math.pi / 2))
