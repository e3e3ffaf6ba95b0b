"""Schedules at the lengths at which their formula divides by nothing."""

import pytest
import torch

from model_export.optimisation import Optimisation
from model_export.optimisers import advance, build_schedule
from tests.model_export.recipes import recipe_values


@pytest.mark.parametrize(
    ("epochs", "steps_per_epoch", "share"), [(2, 5, 0.1), (1, 1, 1.0), (1, 10, 1.0), (1, 1, 0.1), (1, 3, 0.0)]
)
def test_a_cycle_of_any_length_gives_a_rate_for_every_step(epochs: int, steps_per_epoch: int, share: float) -> None:
    values = recipe_values()["optimisation"]
    values |= {"epochs": epochs, "schedule": values["schedule"] | {"warm_up_share": share}}
    settings = Optimisation.model_validate(values)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = build_schedule(optimiser, settings, steps_per_epoch)
    rates = []
    for _ in range(epochs * steps_per_epoch):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if len(rates) < epochs * steps_per_epoch:
            advance(schedule)
    assert all(0 < rate <= settings.learning_rate for rate in rates)
    if (steps_per_epoch, share) == (5, 0.1):  # one step of warm-up: the highest rate is that of the second step
        assert max(rates) == pytest.approx(rates[1], rel=1e-3)
