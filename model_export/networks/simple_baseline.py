"""SimpleBaseline (Xiao, Wu and Wei 2018): a residual network and transposed convolutions back to stride 4.

State entries and start values are those of `pose_resnet` in microsoft/human-pose-estimation.pytorch.
"""

from collections.abc import Sequence

import torch
from torch import nn

from model_export.errors import RecipeError
from model_export.networks.resnet import ResNet, StridePlacement, draw_final_layer

_DECONV_WIDTH = 256
# Kernel of a transposed convolution that doubles the size -> padding, output padding.
_DOUBLING = {4: (1, 0), 3: (1, 1), 2: (0, 0)}


def pose_resnet(
    depth: int,
    keypoint_count: int,
    stride_placement: StridePlacement = "pytorch",
    deconv_kernels: Sequence[int] = (4, 4, 4),
) -> nn.Module:
    """SimpleBaseline with a residual network of that depth.

    Args:
        depth: 18, 34, 50, 101 or 152.
        keypoint_count: K, the number of output maps.
        stride_placement: which convolution of a bottleneck takes the stride; published `caffe` weights differ from
            `pytorch` ones in nothing else.
        deconv_kernels: kernel of each of the three transposed convolutions: 4, 3 or 2.

    Raises:
        RecipeError: a value is not one of those.
    """
    return SimpleBaseline(depth, keypoint_count, stride_placement, tuple(deconv_kernels))


class SimpleBaseline(ResNet):
    """images_N3HW -> maps_NKhw at a quarter of the size."""

    def __init__(
        self, depth: int, keypoint_count: int, stride_placement: StridePlacement, deconv_kernels: tuple[int, ...]
    ):
        super().__init__(depth, stride_placement)
        if len(deconv_kernels) != 3 or not set(deconv_kernels) <= _DOUBLING.keys():
            raise RecipeError(
                f"network.deconv_kernels: expected three of {', '.join(map(str, _DOUBLING))}, "
                f"found {list(deconv_kernels)}"
            )
        layers: list[nn.Module] = []
        channels = self.stage_channels[-1]
        for kernel in deconv_kernels:
            padding, output_padding = _DOUBLING[kernel]
            deconvolution = nn.ConvTranspose2d(channels, _DECONV_WIDTH, kernel, 2, padding, output_padding, bias=False)
            nn.init.normal_(deconvolution.weight, std=0.001)
            layers += [deconvolution, nn.BatchNorm2d(_DECONV_WIDTH), nn.ReLU(inplace=True)]
            channels = _DECONV_WIDTH
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = nn.Conv2d(_DECONV_WIDTH, keypoint_count, 1)
        draw_final_layer(self.final_layer)

    def forward(self, images_N3HW: torch.Tensor) -> torch.Tensor:
        """Raw maps (N, K, H / 4, W / 4) for normalised images; H and W divide by 32."""
        maps: torch.Tensor = self.final_layer(self.deconv_layers(self.stage_features(images_N3HW)[-1]))
        return maps
