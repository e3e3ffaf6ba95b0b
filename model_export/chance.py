"""What a step leaves to chance: drawn for the whole batch, so that it does not depend on devices and parts."""

import torch

from model_export.adversarial_focal import Chance
from model_export.adversarial_focal_section import AdversarialFocal


def draw_chance(
    afl: AdversarialFocal, *, devices: int, rank: int, parts: int, size: int, keypoint_count: int
) -> list[Chance]:
    """What this device's parts of a step take of torch's random state on the CPU, which checkpoints carry.

    The state is the same in all processes: each draws for all devices and takes its own share. What a form does not
    need is not drawn.

    Args:
        afl: the form.
        devices, rank: how many there are, and which is this one.
        parts, size: of this device's share of the batch, and the samples of each.
        keypoint_count: K.
    """
    mixing = torch.rand(devices, parts, size)[rank]
    noise, lots = None, None
    if afl.true_side == "jittered_labels":
        noise = torch.randn(devices, parts, size, keypoint_count, 2)[rank]
    if afl.control == "shuffled":
        lots = torch.rand(devices, parts, size, keypoint_count)[rank]
    return [
        Chance(mixing[part], None if noise is None else noise[part], None if lots is None else lots[part])
        for part in range(parts)
    ]
