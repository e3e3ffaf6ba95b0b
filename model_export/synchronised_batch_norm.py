"""Batch norm with the statistics of the whole batch when several devices share it."""

from typing import Any

import torch
from torch import distributed, nn


class _MeanOverProcesses(torch.autograd.Function):
    """The mean of a tensor over all processes; so is its gradient."""

    @staticmethod
    def forward(_context: Any, value: torch.Tensor) -> torch.Tensor:
        mean = value.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(mean)
        return mean / distributed.get_world_size()

    @staticmethod
    def backward(_context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _MeanOverProcesses.forward(_context, gradient)


class _BatchNormOnCpus(nn.BatchNorm2d):
    """`torch.nn.SyncBatchNorm` for CPUs, which torch's own refuses. Every process must hold equally many samples."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(features)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        mean = _mean_over_processes(features.mean(dim=(0, 2, 3)))
        centred = features - mean.view(1, -1, 1, 1)
        variance = _mean_over_processes(centred.square().mean(dim=(0, 2, 3)))
        count = features.numel() // features.shape[1] * distributed.get_world_size()
        with torch.no_grad():
            self.num_batches_tracked += 1
            momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / max(count - 1, 1), momentum)
        scale = torch.rsqrt(variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        normalised = centred * scale.view(1, -1, 1, 1)
        return normalised if self.bias is None else normalised + self.bias.view(1, -1, 1, 1)


def _mean_over_processes(value: torch.Tensor) -> torch.Tensor:
    mean: torch.Tensor = _MeanOverProcesses.apply(value)  # type: ignore[no-untyped-call]
    return mean


def synchronise_batch_norm(network: nn.Module, device: torch.device) -> nn.Module:
    """The network with every batch norm taking its statistics over all processes; names of the weights stay.

    Args:
        network: changed in place.
        device: where it will run; torch's own layer serves on anything but a CPU.
    """
    if device.type != "cpu":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for name, module in list(network.named_modules()):
        if type(module) is nn.BatchNorm2d:
            assert name, "a network is more than one batch norm"
            layer = _BatchNormOnCpus(
                module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
            )
            layer.load_state_dict(module.state_dict())
            parent, _, attribute = name.rpartition(".")
            setattr(network.get_submodule(parent), attribute, layer)
    return network
