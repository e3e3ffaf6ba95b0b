"""HRNet (Sun et al. 2019): branches at strides 4, 8, 16 and 32 side by side that exchange what they find.

State entries and start values are those of `pose_hrnet` in leoxiaobin/deep-high-resolution-net.pytorch.
"""

from itertools import pairwise

import torch
from torch import nn

from model_export.networks.resnet import basic_blocks, bottlenecks

_STEM_WIDTH, _FIRST_STAGE_CHANNELS = 64, 256
_BLOCKS_PER_BRANCH = 4
_MODULES_PER_STAGE = {2: 1, 3: 4, 4: 3}  # a stage has as many branches as its number


def pose_hrnet(width: int, keypoint_count: int) -> nn.Module:
    """HRNet for poses: nearest upsampling, maps from the finest branch.

    Args:
        width: channels of the finest branch; each coarser one has twice as many. Published: 32 and 48 (18: faces).
        keypoint_count: K, the number of output maps.
    """
    return HighResolutionNetwork(width, keypoint_count)


class HighResolutionNetwork(nn.Module):
    """images_N3HW -> maps_NKhw at a quarter of the size."""

    def __init__(self, width: int, keypoint_count: int):
        super().__init__()
        widths = [width * 2**branch for branch in range(4)]
        self.conv1 = nn.Conv2d(3, _STEM_WIDTH, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM_WIDTH)
        self.conv2 = nn.Conv2d(_STEM_WIDTH, _STEM_WIDTH, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(_STEM_WIDTH)
        self.layer1 = bottlenecks(_STEM_WIDTH, _STEM_WIDTH, 4)
        self.transition1 = _transition([_FIRST_STAGE_CHANNELS], widths[:2])
        self.stage2 = _stage(widths[:2], _MODULES_PER_STAGE[2])
        self.transition2 = _transition(widths[:2], widths[:3])
        self.stage3 = _stage(widths[:3], _MODULES_PER_STAGE[3])
        self.transition3 = _transition(widths[:3], widths)
        # Only the finest branch is read, so the last exchange makes no other.
        self.stage4 = _stage(widths, _MODULES_PER_STAGE[4], last_outputs=1)
        self.final_layer = nn.Conv2d(width, keypoint_count, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.001)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images_N3HW: torch.Tensor) -> torch.Tensor:
        """Raw maps (N, K, H / 4, W / 4) for normalised images; H and W divide by 32."""
        features = torch.relu(self.bn1(self.conv1(images_N3HW)))
        features = torch.relu(self.bn2(self.conv2(features)))
        branches = [self.layer1(features)]
        for transition, stage in (
            (self.transition1, self.stage2),
            (self.transition2, self.stage3),
            (self.transition3, self.stage4),
        ):
            branches = stage(_widened(branches, transition))
        maps: torch.Tensor = self.final_layer(branches[0])
        return maps


class ExchangeModule(nn.Module):
    """Residual blocks in each branch, then each output is the sum of all branches brought to its stride and width."""

    def __init__(self, widths: list[int], outputs: int):
        super().__init__()
        self.branches = nn.ModuleList(basic_blocks(width, width, _BLOCKS_PER_BRANCH) for width in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_fuse(widths, source, target) for source in range(len(widths))) for target in range(outputs)
        )

    def forward(self, branches: list[torch.Tensor]) -> list[torch.Tensor]:
        """The outputs, finest first."""
        deepened = [blocks(features) for blocks, features in zip(self.branches, branches, strict=True)]
        fused = []
        for layers in self.fuse_layers:
            assert isinstance(layers, nn.ModuleList)
            parts = [layer(features) for layer, features in zip(layers, deepened, strict=True)]
            total = parts[0]
            for part in parts[1:]:  # from the finest branch on, as the original adds
                total = total + part
            fused.append(torch.relu(total))
        return fused


def _stage(widths: list[int], count: int, last_outputs: int | None = None) -> nn.Sequential:
    outputs = [len(widths)] * count
    if last_outputs is not None:
        outputs[-1] = last_outputs
    return nn.Sequential(*(ExchangeModule(widths, number) for number in outputs))


def _fuse(widths: list[int], source: int, target: int) -> nn.Module:
    """What brings a branch to the stride and width of another."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(
            nn.Conv2d(widths[source], widths[target], 1, bias=False),
            nn.BatchNorm2d(widths[target]),
            nn.Upsample(scale_factor=float(2 ** (source - target)), mode="nearest"),
        )
    # The width changes in the last step, which has no ReLU: that comes after the sum.
    channels = [widths[source]] * (target - source) + [widths[target]]
    *steps, last = (_halving(*pair) for pair in pairwise(channels))
    return nn.Sequential(*steps, last[:2])


def _transition(before: list[int], after: list[int]) -> nn.ModuleList:
    """From the branches of one stage to those of the next, which has one more, half as fine as the coarsest."""
    kept: list[nn.Module] = [
        nn.Identity() if inputs == outputs else _conv_bn_relu(inputs, outputs, stride=1)
        for inputs, outputs in zip(before, after, strict=False)
    ]
    return nn.ModuleList([*kept, nn.Sequential(_halving(before[-1], after[-1]))])


def _widened(branches: list[torch.Tensor], transition: nn.ModuleList) -> list[torch.Tensor]:
    sources = [*branches, branches[-1]]
    return [layer(features) for layer, features in zip(transition, sources, strict=True)]


def _halving(inputs: int, outputs: int) -> nn.Sequential:
    return _conv_bn_relu(inputs, outputs, stride=2)


def _conv_bn_relu(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
