"""Mixed precision. GPUs train in float16 with loss scaling; torch does the same, slowly, on a CPU."""

import copy
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision, Precision

from model_export.data.splits import training_samples, validation_samples
from model_export.devices import build_fabric, check_devices
from model_export.errors import RunError
from model_export.recipe import Recipe
from model_export.trainer import Trainer
from tests.model_export.recipes import small_recipe
from tests.model_export.runs import assert_equal_states


def float16_trainer(recipe: Recipe, **scaling: Any) -> Trainer:
    precision: Precision = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", **scaling))
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[precision])
    return Trainer(fabric, recipe, training_samples(recipe), validation_samples(recipe))


def losses(trainer: Trainer) -> list[float]:
    return [trainer.run_epoch(lambda _epoch, _done, _total: None)["base_loss"] for _ in range(2)]


def test_float16_and_bfloat16_train_like_float32() -> None:
    recipe = small_recipe()
    samples = training_samples(recipe), validation_samples(recipe)
    expected = losses(Trainer(build_fabric("32-true"), recipe, *samples))
    brain = losses(Trainer(build_fabric("bf16-mixed"), recipe, *samples))
    half = losses(float16_trainer(recipe, init_scale=1024.0))
    assert brain == pytest.approx(expected, rel=0.05)  # measured 0.4 % and 1.6 %
    assert half == pytest.approx(expected, rel=0.05)  # measured 0.7 % and 0.6 %


def test_a_gradient_beyond_float16_leaves_the_step_out_and_scales_less() -> None:
    recipe = small_recipe()
    trainer = float16_trainer(recipe, init_scale=2.0**30)
    before = [parameter.detach().clone() for parameter in trainer.network.parameters()]
    (batch, *_) = trainer.loader
    trainer.train_batch([batch])
    assert trainer.state()["loss_scale"]["scale"] == 2.0**29
    assert all(torch.equal(old, new) for old, new in zip(before, trainer.network.parameters(), strict=True))


def test_a_resumed_run_goes_on_with_its_loss_scale() -> None:
    recipe = small_recipe()
    trainer, resumed = (float16_trainer(recipe, init_scale=2.0**20) for _ in range(2))
    trainer.run_epoch(lambda _epoch, _done, _total: None)
    assert trainer.state()["loss_scale"]["scale"] < 2.0**20  # the first one was too large
    halfway = copy.deepcopy(trainer.state())
    trainer.run_epoch(lambda _epoch, _done, _total: None)
    finished = copy.deepcopy(trainer.state())
    resumed.restore(halfway)
    resumed.run_epoch(lambda _epoch, _done, _total: None)
    assert_equal_states(finished, resumed.state())


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_devices(2)
    with pytest.raises(RunError, match="--devices 3: this machine has 2 GPUs"):
        check_devices(3)
