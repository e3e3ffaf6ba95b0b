"""The recipes of the paper's runs: the published settings, and a few steps from the data sets' own layouts."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from model_export.data.splits import training_samples
from model_export.devices import build_fabric
from model_export.networks import build_network
from model_export.optimisation import Drops
from model_export.recipe import DATA_VARIABLE, load_recipe
from model_export.run_folder import RunFolder
from model_export.trainer import Trainer
from service.cli import build_command_line
from tests.model_export.recipes import shipped_recipe_path

# width, height, sigma, scale, rotation, half bodies, epochs, drops, batch, channel order: as the public YAML files say.
PUBLISHED = {
    "mpii_pose_resnet_50": (256, 256, 2, 0.25, 30, 0.0, 140, (90, 120), 32, "bgr"),
    "coco_pose_resnet_50": (192, 256, 2, 0.3, 40, 0.0, 140, (90, 120), 4 * 32, "bgr"),
    "coco_pose_resnet_152": (288, 384, 3, 0.3, 40, 0.0, 140, (90, 120), 4 * 32, "bgr"),
    "coco_pose_hrnet_w32": (192, 256, 2, 0.35, 45, 0.3, 210, (170, 200), 4 * 32, "rgb"),
    "coco_pose_hrnet_w48": (288, 384, 3, 0.35, 45, 0.3, 210, (170, 200), 4 * 24, "rgb"),
}
COCO = {
    "data.train": "annotations/person_keypoints_val2017.json",
    "data.train_images": "val2017",
    "data.root": "coco_mini",
}
MPII = {
    "data.train": "test_mpii.json",
    "data.validation": "test_mpii.json",
    "data.train_images": ".",
    "data.validation_images": ".",
    "data.root": "formats/tests/data/mpii",
    # The sample has no head sizes beside it, which PCKh needs.
    "evaluation.metrics": '[{kind = "pck", thresholds = [0.5], normaliser = {kind = "box_longer_side"}}]',
}
SMALL = {"optimisation.epochs": 1, "optimisation.batch_size": 2, "optimisation.loader_workers": 0}

needs_data = pytest.mark.skipif(DATA_VARIABLE not in os.environ, reason=f"{DATA_VARIABLE} is not set")


def settings(changes: dict[str, Any]) -> list[str]:
    return [f"{key}={value}" for key, value in changes.items()]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_settings_are_the_published_ones(name: str) -> None:
    recipe = load_recipe(shipped_recipe_path(name))
    augmentation, optimisation = recipe.augmentation, recipe.optimisation
    assert augmentation.name == "classical"
    assert isinstance(optimisation.schedule, Drops)
    assert PUBLISHED[name] == (
        recipe.input.width,
        recipe.input.height,
        recipe.codec.sigma,
        augmentation.scale_factor,
        augmentation.rotation_factor,
        augmentation.half_body_share,
        optimisation.epochs,
        optimisation.schedule.drop_epochs,
        optimisation.batch_size,
        recipe.input.channel_order,
    )
    assert (recipe.adversarial_focal.weights, recipe.adversarial_focal.existence) == ("as_printed", "prediction")


@needs_data
@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith("coco")])
def test_a_few_steps_on_coco(name: str) -> None:
    """From COCO's own layout; the network as it is, the crops smaller, since two cores would take minutes."""
    changes = {"input.width": 96, "input.height": 128, "network.initial_weights": ""}
    recipe = load_recipe(shipped_recipe_path(name), settings({**COCO, **SMALL, **changes}))
    samples = training_samples(recipe)[:4]
    assert [sample.annotated_box is not None for sample in samples] == [True] * 4
    trainer = Trainer(build_fabric(recipe.optimisation.precision), recipe, samples, samples)
    before = [parameter.detach().clone() for parameter in trainer.network.parameters()]
    record = trainer.run_epoch(lambda _epoch, _done, _total: None)
    assert trainer.epoch == 1
    assert 0 < record["base_loss"] < 1
    assert 0 < record["difficulty_mean"] < 1
    assert 0 <= record["validation_AP"] <= 1
    moved = [not torch.equal(old, new) for old, new in zip(before, trainer.network.parameters(), strict=True)]
    assert all(moved)


@needs_data
def test_a_run_on_mpii_from_imagenet_weights(tmp_path: Path) -> None:
    """The command itself, with a backbone in torchvision's names (here: random) as the recipe asks for."""
    backbone = build_network("pose_resnet_50", 1, {}).state_dict()
    kept = {key: value for key, value in backbone.items() if not key.startswith(("deconv_layers", "final_layer"))}
    torch.save({**kept, "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}, tmp_path / "resnet50.pth")
    changes = {**MPII, **SMALL, "input.width": 64, "input.height": 64}
    changes["network.initial_weights"] = str(tmp_path / "resnet50.pth")
    arguments = ["train", str(shipped_recipe_path("mpii_pose_resnet_50")), "--run", str(tmp_path / "run")]
    arguments += [f"--set={setting}" for setting in settings(changes)]
    found = CliRunner().invoke(build_command_line(), arguments)
    assert found.exit_code == 0, found.output
    assert "starts from 318 entries of " in found.output
    assert "2 not in the network: fc.weight, fc.bias" in found.output
    run = RunFolder(tmp_path / "run")
    assert run.recipe().input.width == 64
    (record,) = run.read_metrics()
    assert 0 < record["base_loss"] < 1
    run.checkpoint.unlink()  # half a gigabyte
