"""Weights and pictures that depend on nothing but shapes and names, to compare networks of different origin."""

import zlib

import numpy as np
import torch
from torch import nn


def with_known_weights(network: nn.Module) -> nn.Module:
    """The network in evaluation mode; each entry drawn by a generator that its name seeds, scaled to keep the variance.

    Variances and factors of batch norm lie in 0.5 ... 1.5, so that each entry counts.
    """
    drawn = {}
    for key, entry in network.state_dict().items():
        values = np.random.default_rng(zlib.crc32(key.encode())).random(tuple(entry.shape), dtype=np.float32)
        if not entry.dtype.is_floating_point:
            drawn[key] = entry
        elif entry.dim() > 1:
            drawn[key] = torch.from_numpy((2 * values - 1) * np.float32((6 / entry[0].numel()) ** 0.5))
        else:
            drawn[key] = torch.from_numpy(0.5 + values)
    network.load_state_dict(drawn)
    return network.eval()


def known_images(width: int, height: int) -> torch.Tensor:
    """One image (1, 3, height, width) of uniform noise in -1 ... 1."""
    values = np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)
    return torch.from_numpy(2 * values - 1)


def known_answer(network: nn.Module) -> list[float]:
    """Five cells along the diagonal of the last map for the known image of 96 x 64, and the mean size of all cells."""
    with torch.inference_mode():
        maps = with_known_weights(network)(known_images(width=96, height=64))
    diagonal = maps[0, -1].diagonal()[[0, 4, 8, 12, 15]]
    return [*diagonal.tolist(), maps.abs().mean().item()]


def with_unit_answers(network: nn.Module, width: int, height: int) -> nn.Module:
    """The network with known weights, its last layer scaled so that maps lie in -1 ... 1 as trained ones do."""
    with_known_weights(network)
    with torch.inference_mode():
        largest = network(known_images(width, height)).abs().max()
        for parameter in list(network.parameters())[-2:]:  # weight and bias of the last layer
            parameter.div_(largest)
    return network
