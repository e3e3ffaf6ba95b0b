"""Crops to what a network sees; part of the exported graph, so that a service sends bytes."""

import torch

# Mean and standard deviation of ImageNet's RGB pixels on 0 ... 255, the field's custom.
_MEAN = (123.675, 116.28, 103.53)
_SPREAD = (58.395, 57.12, 57.375)


def normalise(crops_NHW3: torch.Tensor) -> torch.Tensor:
    """uint8 RGB crops (N, H, W, 3) to float32 images (N, 3, H, W) of about zero mean and unit spread."""
    images_NHW3 = (crops_NHW3.float() - crops_NHW3.new_tensor(_MEAN, dtype=torch.float32)) / crops_NHW3.new_tensor(
        _SPREAD, dtype=torch.float32
    )
    return images_NHW3.permute(0, 3, 1, 2)
