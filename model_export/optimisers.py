"""Optimisers and learning rates that a recipe may choose."""

import math
import warnings
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR, OneCycleLR

from model_export.optimisation import OneCycle, Optimisation

OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}


def build_optimiser(parameters: Iterable[nn.Parameter], settings: Optimisation) -> torch.optim.Optimizer:
    """The optimiser that the recipe names."""
    return OPTIMISERS[settings.optimiser](parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def build_schedule(optimiser: torch.optim.Optimizer, settings: Optimisation, steps_per_epoch: int) -> LRScheduler:
    """The learning rate of each step; step it after each step of the optimiser, but not while settling."""
    schedule = settings.schedule
    if isinstance(schedule, OneCycle):
        steps = settings.mirrored_epochs * steps_per_epoch
        share = _warm_up_share(schedule.warm_up_share, steps)
        return OneCycleLR(optimiser, settings.learning_rate, total_steps=steps, pct_start=share)
    drops = [epoch * steps_per_epoch for epoch in schedule.drop_epochs]
    return MultiStepLR(optimiser, drops, schedule.drop_factor)


def _warm_up_share(share: float, steps: int) -> float:
    """The share, moved by a millionth of a step where one of the two phases would have no length.

    OneCycleLR divides by their lengths, share * steps - 1 and steps * (1 - share): a tenth of ten steps, or a warm-up
    that is all, would be a division by zero.
    """
    rising = share * steps
    if math.isclose(rising, steps):
        rising -= 1e-6
    elif math.isclose(rising, 1.0):
        rising += 1e-6
    return rising / steps


def advance(schedule: LRScheduler) -> None:
    """One step of the schedule; also where loss scaling left the very first step of the optimiser out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Detected call of `lr_scheduler\.step\(\)` before", UserWarning)
        schedule.step()


def settling_rate(settings: Optimisation, epoch: int) -> float | None:
    """The constant learning rate of an epoch (from zero) that comes after the cycle."""
    if isinstance(settings.schedule, OneCycle) and epoch >= settings.mirrored_epochs:
        return settings.schedule.settling_learning_rate
    return None
