"""False negatives: by response alone, at a contrast that is what it says."""

from pathlib import Path

import pytest
import torch
from torch import nn

from model_export.data.dataset import CropSample
from model_export.false_negatives import change_contrast, main, missed_keypoints
from model_export.image_normalisation import normalise
from tests.model_export.recipes import small_recipe
from tests.model_export.runs import run_recipe

RECIPE = small_recipe(codec={"decoding": "peak"})


class Brightness(nn.Module):
    """Answers maps whose single response, of keypoint k, is (k + 1) tenths of the deviation of the crop's pixels."""

    def forward(self, images_N3HW: torch.Tensor) -> torch.Tensor:
        maps = torch.zeros(len(images_N3HW), 5, 16, 16)
        maps[:, :, 3, 4] = images_N3HW.std(dim=(1, 2, 3))[:, None] * torch.arange(1, 6) / 10
        return maps


def test_a_changed_contrast_keeps_the_mean_and_scales_the_distance_from_it() -> None:
    crops = torch.tensor([90, 100, 110, 100] * 3, dtype=torch.uint8).view(1, 2, 2, 3)
    assert change_contrast(crops, 1.5).flatten()[:4].tolist() == [85, 100, 115, 100]
    assert change_contrast(crops, 0.5).flatten()[:4].tolist() == [95, 100, 105, 100]
    dark = torch.tensor([0, 255] * 6, dtype=torch.uint8).view(1, 2, 2, 3)
    assert torch.equal(change_contrast(dark, 2.0), dark)


def test_a_labelled_keypoint_without_a_response_above_the_threshold_is_missed() -> None:
    """The crop's deviation, about 1.1 after normalisation, goes down to 0.51 of it with half the contrast."""
    crops = torch.tensor([64, 192] * 6144, dtype=torch.uint8).view(2, 64, 32, 3)
    deviation = float(Brightness()(normalise(crops, RECIPE.input.channel_order))[0, 0, 3, 4]) * 10
    visible = torch.tensor([[True] * 5, [True, True, False, True, False]])
    batch = CropSample(crop=crops, points_in_crop=torch.zeros(2, 5, 2), visible=visible, index=torch.arange(2))
    missed = missed_keypoints(Brightness(), batch, RECIPE, contrast=1.0, threshold=0.25 * deviation)
    assert missed.tolist() == [[True, True, False, False, False], [True, True, False, False, False]]
    missed = missed_keypoints(Brightness(), batch, RECIPE, contrast=0.5, threshold=0.24 * deviation)
    assert missed.tolist() == [[True, True, True, True, False], [True, True, False, True, False]]


def test_the_table_compares_arms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = []
    for seed in (0, 1):
        for name, enabled in (("vanilla", False), ("afl", True)):
            recipe = small_recipe(adversarial_focal={"enabled": enabled}, optimisation={"epochs": 1})
            run = run_recipe(recipe.model_copy(update={"seed": seed}), tmp_path / f"{name}_{seed}")
            runs.append(str(run.path))
    main([*runs, "--threshold=2"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 2 * 4
    assert lines[2].startswith("| false negatives, higher contrast (x 1.5) (lower is better) | vanilla_0 | 100.00 ")
    with pytest.raises(SystemExit, match="has one seed"):
        main(runs[:2])
