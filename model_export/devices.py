"""Training on several devices: one process each, started by torchrun; every helper is a no-op on a single one."""

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import nn

from model_export.adversarial_focal_section import AdversarialFocal
from model_export.errors import RecipeError, RunError
from model_export.optimisation import Precision

# The others wait while the first process reads the data and validates. One that dies is noticed by torchrun at once.
_PATIENCE = timedelta(hours=6)


def build_fabric(precision: Precision) -> Fabric:
    """This process' device, and its place among the processes that torchrun started, if it did."""
    here, everywhere = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), int(os.environ.get("WORLD_SIZE", "1"))
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces each process in four lines
    strategy = DDPStrategy(timeout=_PATIENCE) if everywhere > 1 else "auto"
    fabric = Fabric(
        accelerator="auto", devices=here, num_nodes=everywhere // here, strategy=strategy, precision=precision
    )
    fabric.launch()
    return fabric


@contextmanager
def fabric_on_devices(precision: Precision) -> Iterator[Fabric]:
    """`build_fabric`, and the end of the processes' group: a process that ends within one may be aborted by it."""
    fabric = build_fabric(precision)
    try:
        yield fabric
    finally:
        if fabric.world_size > 1:
            torch.distributed.destroy_process_group()


def describe_devices(fabric: Fabric) -> str:
    """How many of which kind, such as `2 x cuda`."""
    return f"{fabric.world_size} x {fabric.device.type}"


def check_precision(precision: Precision) -> None:
    """Refuse what Fabric would replace by another precision with a warning.

    Raises:
        RecipeError: this machine's devices do not compute in that precision.
    """
    if precision == "16-mixed" and not torch.cuda.is_available():
        raise RecipeError("optimisation.precision is 16-mixed, which needs a GPU: take bf16-mixed or 32-true here")


def check_devices(devices: int) -> None:
    """Refuse more processes than there are GPUs; a machine without any takes as many as are asked for.

    Raises:
        RunError: saying how many there are.
    """
    if torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise RunError(f"--devices {devices}: this machine has {torch.cuda.device_count()} GPUs")


def mean_over_devices(fabric: Fabric, value: torch.Tensor) -> torch.Tensor:
    """The mean of a tensor over all processes, the same in each."""
    mean = fabric.all_reduce(value, reduce_op="mean")
    assert isinstance(mean, torch.Tensor)
    return mean


def gather_over_devices(fabric: Fabric, values: torch.Tensor) -> torch.Tensor:
    """The tensors (C, N) of all processes side by side, the same in each."""
    if fabric.world_size == 1:
        return values
    shares = values.new_zeros(fabric.world_size, *values.shape)
    shares[fabric.global_rank] = values
    gathered = fabric.all_reduce(shares, reduce_op="sum")
    assert isinstance(gathered, torch.Tensor)
    return gathered.movedim(0, 1).flatten(1)


def check_whole_batch(afl: AdversarialFocal, devices: int) -> None:
    """Refuse several devices where a form of AFL takes all samples of a batch at once.

    Raises:
        RecipeError: naming what does.
    """
    if afl.whole_batch_key is not None and devices > 1:
        raise RecipeError(
            f"adversarial_focal.{afl.whole_batch_key} needs a whole batch at once: expected one device, found {devices}"
        )


def average_gradients(fabric: Fabric, parameters: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over all processes, in one collective.

    For the critic, which has no wrapper that would do it: a gradient penalty differentiates twice.
    """
    if fabric.world_size == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = mean_over_devices(fabric, torch.cat([gradient.flatten() for gradient in gradients]))
    pieces = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, mean in zip(gradients, pieces, strict=True):
        gradient.copy_(mean.view_as(gradient))
