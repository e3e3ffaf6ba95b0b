"""The compact network: under a million parameters, made for CPUs.

An encoder of residual stages from stride 4 to stride 32 and a top-down path that brings the context of the coarsest
map back to stride 4 (Lin et al. 2017, Feature Pyramid Networks). Plain 3x3 convolutions throughout: on CPUs they reach
several times the arithmetic rate of depthwise ones.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from model_export.errors import RecipeError


def compact(keypoint_count: int, widths: Sequence[int], blocks: Sequence[int], top_down_width: int) -> nn.Module:
    """The compact network.

    Args:
        keypoint_count: K, the number of output maps.
        widths: channels at strides 2, 4, 8, ... from the stem to the coarsest stage.
        blocks: residual blocks per stage, one number fewer than `widths`.
        top_down_width: channels of the top-down path.

    Raises:
        RecipeError: the numbers of widths and blocks do not fit each other.
    """
    return CompactNetwork(keypoint_count, tuple(widths), tuple(blocks), top_down_width)


class CompactNetwork(nn.Module):
    """images_N3HW -> maps_NKhw at a quarter of the size."""

    def __init__(self, keypoint_count: int, widths: tuple[int, ...], blocks: tuple[int, ...], top_down_width: int):
        super().__init__()
        if len(blocks) != len(widths) - 1:
            raise RecipeError(
                f"network.blocks needs {len(widths) - 1} numbers for {len(widths)} widths, has {len(blocks)}"
            )
        self.stem = _conv_bn_relu(3, widths[0], stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(_conv_bn_relu(narrow, wide, stride=2), *(ResidualBlock(wide) for _ in range(count)))
            for (narrow, wide), count in zip(pairwise(widths), blocks, strict=True)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, top_down_width, 1) for width in widths[1:])
        self.merge = nn.ModuleList(ResidualBlock(top_down_width) for _ in widths[2:])
        self.head = nn.Conv2d(top_down_width, keypoint_count, 1)

    def forward(self, images_N3HW: torch.Tensor) -> torch.Tensor:
        """Raw maps (N, K, H / 4, W / 4) for normalised images; H and W divide by the coarsest stride."""
        features = self.stem(images_N3HW)
        pyramid = []
        for stage in self.stages:
            features = stage(features)
            pyramid.append(features)
        merged: torch.Tensor = self.lateral[-1](pyramid[-1])
        for level in reversed(range(len(pyramid) - 1)):
            upsampled = nn.functional.interpolate(merged, scale_factor=2.0, mode="nearest")
            merged = self.merge[level](self.lateral[level](pyramid[level]) + upsampled)
        maps: torch.Tensor = self.head(merged)
        return maps


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside the identity (He et al. 2016)."""

    def __init__(self, width: int):
        super().__init__()
        self.first = _conv_bn_relu(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """The same shape as given."""
        return torch.relu(features + self.second(self.first(features)))


def _conv_bn_relu(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
