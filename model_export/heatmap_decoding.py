"""The codec's decoding in torch, for the training loss and the exported graph; tests hold it equal to the NumPy codec.

N crops, K keypoints, h x w cells.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from model_export.dark_decoding import dark, dark_udp
from model_export.heatmap_peak import peak_cell, positive_peak_cell, response
from service.contract.heatmap_decoding import HeatmapDecoding
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
    peak of one. For the other decodings the maps are the heatmaps.
    """
    if codec.decoding == "soft_argmax":
        heatmaps = maps_NKhw.flatten(2).softmax(dim=-1).view_as(maps_NKhw)
        points = centre_of_mass(heatmaps)
        return Prediction(maps_NKhw, heatmaps * (2 * math.pi * codec.sigma**2), points)
    return Prediction(maps_NKhw, maps_NKhw, _DECODINGS[codec.decoding](maps_NKhw, codec.blur_kernel))


def to_crop(points_in_heatmap: torch.Tensor, codec: KeypointCodec) -> torch.Tensor:
    """Points (..., 2) from heatmap cells to crop pixels."""
    return points_in_heatmap * points_in_heatmap.new_tensor(codec.cell_size) + codec.first_cell


def to_heatmap(points_in_crop: torch.Tensor, codec: KeypointCodec) -> torch.Tensor:
    """Points (..., 2) from crop pixels to heatmap cells."""
    return (points_in_crop - codec.first_cell) / points_in_crop.new_tensor(codec.cell_size)


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
    column, row = peak_cell(heatmaps_NKhw)
    middle_x, middle_y = column.clamp(1, width - 2), row.clamp(1, height - 2)

    def at(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return response(heatmaps_NKhw, x, y).clamp_min(_SMALLEST_RESPONSE).log()

    def vertex(before: torch.Tensor, middle: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        curvature = before - 2 * middle + after
        is_peak = curvature < -1e-9
        offset = 0.5 * (before - after) / torch.where(is_peak, curvature, torch.ones_like(curvature))
        return torch.where(is_peak, offset, torch.zeros_like(offset)).clamp(-1.5, 1.5)

    x = vertex(at(middle_x - 1, row), at(middle_x, row), at(middle_x + 1, row))
    y = vertex(at(column, middle_y - 1), at(column, middle_y), at(column, middle_y + 1))
    return torch.stack([middle_x + x, middle_y + y], dim=-1)


def quarter_step(heatmaps_NKhw: torch.Tensor) -> torch.Tensor:
    """Places (N, K, 2) in heatmap cells: the maximum and a quarter of a cell towards the higher neighbours."""
    height, width = heatmaps_NKhw.shape[2:]
    column, row = positive_peak_cell(heatmaps_NKhw)
    inner = (column > 1) & (column < width - 1) & (row > 1) & (row < height - 1)
    slope_x = response(heatmaps_NKhw, column + 1, row) - response(heatmaps_NKhw, column - 1, row)
    slope_y = response(heatmaps_NKhw, column, row + 1) - response(heatmaps_NKhw, column, row - 1)
    step = 0.25 * torch.stack([slope_x, slope_y], dim=-1).sign()
    return torch.stack([column, row], dim=-1) + step * inner.unsqueeze(-1)


_DECODINGS: dict[HeatmapDecoding, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "peak": lambda heatmaps, _: refined_peak(heatmaps),
    "quarter_step": lambda heatmaps, _: quarter_step(heatmaps),
    "dark": dark,
    "dark_udp": dark_udp,
}
