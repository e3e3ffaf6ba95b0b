"""A residual network with a feature pyramid (Lin et al. 2017) and a heatmap head on its finest level, stride 4."""

import torch
from torch import nn

from model_export.networks.resnet import ResNet, StridePlacement, draw_final_layer


def fpn_resnet(
    depth: int, keypoint_count: int, stride_placement: StridePlacement = "pytorch", top_down_width: int = 256
) -> nn.Module:
    """A feature pyramid over a residual network of that depth.

    Args:
        depth: 18, 34, 50, 101 or 152.
        keypoint_count: K, the number of output maps.
        stride_placement: as for SimpleBaseline.
        top_down_width: channels of the pyramid and the head.

    Raises:
        RecipeError: a value is not one of those.
    """
    return FeaturePyramid(depth, keypoint_count, stride_placement, top_down_width)


class FeaturePyramid(ResNet):
    """images_N3HW -> maps_NKhw at a quarter of the size."""

    def __init__(self, depth: int, keypoint_count: int, stride_placement: StridePlacement, top_down_width: int):
        super().__init__(depth, stride_placement)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, top_down_width, 1) for channels in self.stage_channels)
        self.smooth = nn.Conv2d(top_down_width, top_down_width, 3, padding=1)
        for convolution in (*self.lateral, self.smooth):
            assert isinstance(convolution, nn.Conv2d)
            nn.init.kaiming_uniform_(convolution.weight, a=1)
            assert convolution.bias is not None
            nn.init.zeros_(convolution.bias)
        self.head = nn.Sequential(
            nn.Conv2d(top_down_width, top_down_width, 3, padding=1, bias=False),
            nn.BatchNorm2d(top_down_width),
            nn.ReLU(inplace=True),
        )
        self.final_layer = nn.Conv2d(top_down_width, keypoint_count, 1)
        draw_final_layer(self.final_layer)

    def forward(self, images_N3HW: torch.Tensor) -> torch.Tensor:
        """Raw maps (N, K, H / 4, W / 4) for normalised images; H and W divide by 32."""
        stages = self.stage_features(images_N3HW)
        merged: torch.Tensor = self.lateral[-1](stages[-1])
        for level in (2, 1, 0):
            upsampled = nn.functional.interpolate(merged, scale_factor=2.0, mode="nearest")
            merged = self.lateral[level](stages[level]) + upsampled
        maps: torch.Tensor = self.final_layer(self.head(self.smooth(merged)))
        return maps
