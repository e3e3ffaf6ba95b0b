"""Crops to what a network sees; part of the exported graph, so that a service sends bytes."""

import torch

from model_export.recipe import ChannelOrder

# Mean and standard deviation of ImageNet's RGB pixels on 0 ... 255, the field's custom.
_MEAN = (123.675, 116.28, 103.53)
_SPREAD = (58.395, 57.12, 57.375)


def normalise(crops_NHW3: torch.Tensor, channel_order: ChannelOrder) -> torch.Tensor:
    """uint8 RGB crops (N, H, W, 3) to float32 images (N, 3, H, W) of about zero mean and unit spread.

    With `bgr` the channels are reversed before the mean and spread of RGB are applied: SimpleBaseline's weights were
    trained so (microsoft/human-pose-estimation.pytorch reads with OpenCV and does not convert).
    """
    if channel_order == "bgr":
        crops_NHW3 = crops_NHW3.flip(-1)
    # Channels first: with them last, onnxruntime subtracts three numbers at a time, and face68 takes 8 % longer.
    images_N3HW = crops_NHW3.permute(0, 3, 1, 2).float()
    mean, spread = (images_N3HW.new_tensor(values).reshape(3, 1, 1) for values in (_MEAN, _SPREAD))
    return (images_N3HW - mean) / spread
