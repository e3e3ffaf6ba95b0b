"""A run that starts from a checkpoint: what it takes, what it says, and that nothing is written for a bad file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from model_export.errors import RecipeError, WeightsError
from model_export.image_normalisation import normalise
from model_export.networks import build_network
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder
from model_export.train_command import check_maps, match_recipe_weights, run_training
from model_export.trainer import Trainer
from tests.model_export.networks.known_weights import with_known_weights
from tests.model_export.recipes import small_recipe
from tests.model_export.runs import build_trainer


def compact_network(recipe: Recipe, keypoint_count: int = 5) -> nn.Module:
    return build_network("compact", keypoint_count, recipe.network.sizes)


def recipe_from(path: Path) -> Recipe:
    return small_recipe(network={"initial_weights": str(path)}, optimisation={"epochs": 1, "schedule": SHORT})


SHORT: dict[str, Any] = {"name": "drops", "drop_epochs": [], "drop_factor": 0.1}


def started_from(recipe: Recipe, monkeypatch: pytest.MonkeyPatch, folder: Path) -> dict[str, torch.Tensor]:
    """The state of the network before the first step of `focalpoint train`."""
    states = []

    def note(trainer: Trainer, _: object) -> None:
        states.append({key: entry.clone() for key, entry in trainer.network.module.state_dict().items()})
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "run_epoch", note)
    with pytest.raises(KeyboardInterrupt):
        run_training(recipe, RunFolder(folder), resume=False, command="a test", checkpoint_seconds=60.0)
    (state,) = states
    return state


def test_a_run_starts_from_what_fits_and_lists_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_from(tmp_path / "a.pth")
    published = with_known_weights(compact_network(recipe, keypoint_count=9)).state_dict()
    torch.save({"state_dict": {f"module.{key}": entry for key, entry in published.items()}}, tmp_path / "a.pth")
    found = started_from(recipe, monkeypatch, tmp_path / "run")
    drawn = build_trainer(small_recipe()).network.module.state_dict()
    for key, entry in found.items():
        expected = drawn[key] if key.startswith("head.") else published[key]
        assert torch.equal(entry, expected), key
    printed = capsys.readouterr().out
    assert f"starts from {len(published) - 2} entries of {tmp_path / 'a.pth'}" in printed
    assert (
        "2 of another shape: module.head.weight (file [9, 12, 1, 1], network [5, 12, 1, 1]), module.head.bi" in printed
    )


def test_a_file_that_does_not_fit_starts_nothing(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.ones(2)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="none of its entries fits the network"):
        run_training(
            recipe_from(tmp_path / "a.pth"),
            RunFolder(tmp_path / "run"),
            resume=False,
            command="a test",
            checkpoint_seconds=60,
        )
    assert not (tmp_path / "run").exists()


def test_a_relative_file_lies_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small_recipe(network={"initial_weights": "weights/a.pth"})
    monkeypatch.delenv("FOCALPOINT_DATA", raising=False)
    with pytest.raises(RecipeError, match=r"network\.initial_weights is 'weights/a\.pth', which lies below the folder"):
        match_recipe_weights(recipe)
    monkeypatch.setenv("FOCALPOINT_DATA", str(tmp_path))
    with pytest.raises(WeightsError, match=f"checkpoint {tmp_path}/weights/a.pth: there is no such file"):
        match_recipe_weights(recipe)
    assert match_recipe_weights(small_recipe()) is None


def test_a_codec_that_is_not_the_networks_is_named() -> None:
    check_maps(small_recipe())
    with pytest.raises(RecipeError, match=r"codec\.stride is 8, but compact answers with a cell for every 4 pixels"):
        check_maps(small_recipe(codec={"stride": 8}))


def test_bgr_reverses_the_channels_before_the_means_of_rgb() -> None:
    """As SimpleBaseline: read by OpenCV, not converted, normalised with the numbers of RGB in their order."""
    crops_NHW3 = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8))
    by_hand = (crops_NHW3.numpy()[..., ::-1] / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    found = normalise(crops_NHW3, "bgr").numpy().transpose(0, 2, 3, 1)
    # Measured: 5e-7, the rounding of float32.
    assert np.abs(found - by_hand).max() < 1e-5
    assert torch.equal(normalise(crops_NHW3.flip(-1), "rgb"), normalise(crops_NHW3, "bgr"))
