"""The residual stages that SimpleBaseline, HRNet and the feature pyramid are made of (He et al. 2016).

Names and shapes of the state entries are torchvision's, which the public pose networks share, so that ImageNet weights
and pose checkpoints load unchanged.
"""

from typing import Literal

import torch
from torch import nn

from model_export.errors import RecipeError

StridePlacement = Literal["pytorch", "caffe"]

BASIC_EXPANSION, BOTTLENECK_EXPANSION = 1, 4
_BLOCKS_PER_STAGE = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_STAGE_WIDTHS = (64, 128, 256, 512)
_SHALLOW = (18, 34)  # of two 3x3 convolutions a block instead of a bottleneck


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside the shortcut."""

    def __init__(self, inputs: int, width: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = projection(inputs, width, stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, width, h / stride, w / stride)."""
        changed = torch.relu(self.bn1(self.conv1(features)))
        changed = self.bn2(self.conv2(changed))
        return torch.relu(changed + (features if self.downsample is None else self.downsample(features)))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution beside the shortcut; the output is four times as wide as the middle.

    A stride above one is taken by the 3x3 convolution (`pytorch`) or by the first 1x1 (`caffe`, as in the original
    release): the entries are the same, the answers are not.
    """

    def __init__(self, inputs: int, width: int, stride: int = 1, stride_placement: StridePlacement = "pytorch"):
        super().__init__()
        first, second = (stride, 1) if stride_placement == "caffe" else (1, stride)
        outputs = BOTTLENECK_EXPANSION * width
        self.conv1 = nn.Conv2d(inputs, width, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = projection(inputs, outputs, stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, 4 width, h / stride, w / stride)."""
        changed = torch.relu(self.bn1(self.conv1(features)))
        changed = torch.relu(self.bn2(self.conv2(changed)))
        changed = self.bn3(self.conv3(changed))
        return torch.relu(changed + (features if self.downsample is None else self.downsample(features)))


def projection(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """The shortcut where the shape changes; none where it does not."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """A residual network without its classifier, at the top level of the names: `conv1`, `bn1`, `layer1` ... `layer4`.

    Attributes:
        stage_channels: channels of the four stages, at strides 4, 8, 16 and 32.
    """

    def __init__(self, depth: int, stride_placement: StridePlacement):
        super().__init__()
        if depth in _SHALLOW and stride_placement == "caffe":
            raise RecipeError(f"network.stride_placement: depth {depth} has no bottlenecks, so only pytorch fits it")
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        stages, channels = [], [64]
        for width, count, stride in zip(_STAGE_WIDTHS, _BLOCKS_PER_STAGE[depth], (1, 2, 2, 2), strict=True):
            if depth in _SHALLOW:
                stages.append(basic_blocks(channels[-1], width, count, stride))
                channels.append(width)
            else:
                stages.append(bottlenecks(channels[-1], width, count, stride, stride_placement))
                channels.append(BOTTLENECK_EXPANSION * width)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.stage_channels = tuple(channels[1:])

    def stage_features(self, images_N3HW: torch.Tensor) -> list[torch.Tensor]:
        """The features of the four stages, at strides 4, 8, 16 and 32."""
        features = self.maxpool(torch.relu(self.bn1(self.conv1(images_N3HW))))
        found = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = stage(features)
            found.append(features)
        return found


def basic_blocks(inputs: int, width: int, count: int, stride: int = 1) -> nn.Sequential:
    """`count` basic blocks; the first takes the stride."""
    return nn.Sequential(BasicBlock(inputs, width, stride), *(BasicBlock(width, width) for _ in range(count - 1)))


def bottlenecks(
    inputs: int, width: int, count: int, stride: int = 1, stride_placement: StridePlacement = "pytorch"
) -> nn.Sequential:
    """`count` bottlenecks; the first takes the stride."""
    outputs = BOTTLENECK_EXPANSION * width
    return nn.Sequential(
        Bottleneck(inputs, width, stride, stride_placement),
        *(Bottleneck(outputs, width) for _ in range(count - 1)),
    )


def draw_final_layer(layer: nn.Conv2d) -> None:
    """The originals' start of the layer that answers: weights from N(0, 0.001), no offset."""
    nn.init.normal_(layer.weight, std=0.001)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
