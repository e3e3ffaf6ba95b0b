"""The codec's decoding in torch, for the training loss and the exported graph; tests hold it equal to the NumPy codec.

N crops, K keypoints, h x w cells.
"""

import math
from typing import NamedTuple

import torch

from service.contract.keypoint_codec import KeypointCodec

_SMALLEST_RESPONSE = 1e-12


class Prediction(NamedTuple):
    """What the network says of a batch.

    Attributes:
        maps_NKhw: raw maps of the network.
        heatmaps_NKhw: responses that the codec decodes; the ideal peak is one.
        points_in_heatmap_NK2: decoded places in heatmap cells.
    """

    maps_NKhw: torch.Tensor
    heatmaps_NKhw: torch.Tensor
    points_in_heatmap_NK2: torch.Tensor


def read_maps(maps_NKhw: torch.Tensor, codec: KeypointCodec) -> Prediction:
    """Heatmaps and places for the raw maps of a network.

    For `soft_argmax` the maps are logits: their softmax over all cells, scaled so that the codec's own Gaussian has a
    peak of one. For `peak` the maps are the heatmaps.
    """
    if codec.decoding == "soft_argmax":
        heatmaps = maps_NKhw.flatten(2).softmax(dim=-1).view_as(maps_NKhw)
        points = centre_of_mass(heatmaps)
        return Prediction(maps_NKhw, heatmaps * (2 * math.pi * codec.sigma**2), points)
    return Prediction(maps_NKhw, maps_NKhw, refined_peak(maps_NKhw))


def to_crop(points_in_heatmap: torch.Tensor, codec: KeypointCodec) -> torch.Tensor:
    """Points (..., 2) from heatmap cells to crop pixels."""
    return (points_in_heatmap + 0.5) * codec.stride - 0.5


def to_heatmap(points_in_crop: torch.Tensor, codec: KeypointCodec) -> torch.Tensor:
    """Points (..., 2) from crop pixels to heatmap cells."""
    return (points_in_crop + 0.5) / codec.stride - 0.5


def centre_of_mass(heatmaps_NKhw: torch.Tensor) -> torch.Tensor:
    """Places (N, K, 2) in heatmap cells: the mean of the cells weighted by their response (nowhere negative)."""
    height, width = heatmaps_NKhw.shape[2:]
    mass_per_column = heatmaps_NKhw.sum(dim=2) + _SMALLEST_RESPONSE
    mass_per_row = heatmaps_NKhw.sum(dim=3) + _SMALLEST_RESPONSE
    columns = torch.arange(width, device=heatmaps_NKhw.device, dtype=heatmaps_NKhw.dtype)
    rows = torch.arange(height, device=heatmaps_NKhw.device, dtype=heatmaps_NKhw.dtype)
    x = (mass_per_column * columns).sum(dim=-1) / mass_per_column.sum(dim=-1)
    y = (mass_per_row * rows).sum(dim=-1) / mass_per_row.sum(dim=-1)
    return torch.stack([x, y], dim=-1)


def refined_peak(heatmaps_NKhw: torch.Tensor) -> torch.Tensor:
    """Places (N, K, 2) in heatmap cells: the maximum, refined by a parabola through the logarithms around it."""
    height, width = heatmaps_NKhw.shape[2:]
    flat = heatmaps_NKhw.flatten(2)
    peak = flat.argmax(dim=-1)
    row, column = torch.div(peak, width, rounding_mode="floor"), peak % width
    middle_x, middle_y = column.clamp(1, width - 2), row.clamp(1, height - 2)

    def response(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return flat.gather(-1, (y * width + x).unsqueeze(-1)).squeeze(-1).clamp_min(_SMALLEST_RESPONSE).log()

    def vertex(before: torch.Tensor, middle: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        curvature = before - 2 * middle + after
        is_peak = curvature < -1e-9
        offset = 0.5 * (before - after) / torch.where(is_peak, curvature, torch.ones_like(curvature))
        return torch.where(is_peak, offset, torch.zeros_like(offset)).clamp(-1.5, 1.5)

    x = vertex(response(row, middle_x - 1), response(row, middle_x), response(row, middle_x + 1))
    y = vertex(response(middle_y - 1, column), response(middle_y, column), response(middle_y + 1, column))
    return torch.stack([middle_x + x, middle_y + y], dim=-1)
