"""`focalpoint difficulty` on a run with wrong labels: figures, correlations, and what the hardest tenth holds."""

import json
from pathlib import Path

import cv2
import numpy as np
from typer.testing import CliRunner

from model_export.difficulty_history import read_history
from model_export.difficulty_report.sample_means import means_of_thirds, rank_correlation
from service.cli import build_command_line
from tests.model_export.recipes import small_recipe
from tests.model_export.runs import run_recipe
from tests.model_export.test_cli import refusal


def test_a_run_is_drawn_and_described(tmp_path: Path) -> None:
    recipe = small_recipe(data={"corrupted_share": 0.25}, optimisation={"epochs": 3})
    run = run_recipe(recipe, tmp_path / "run")
    result = CliRunner().invoke(build_command_line(), ["difficulty", str(run.path), "--count=2"])
    assert result.exit_code == 0, result.output
    report = json.loads((run.path / "difficulty" / "difficulty.json").read_text())
    assert report["samples"] == 24
    last = means_of_thirds(read_history(run.path, 3))["last"]
    expected = rank_correlation(last.difficulty_S, last.error_in_crop_pixels_S)
    assert report["rank_correlations"]["last"]["error_in_crop_pixels"] == expected
    assert (
        f"| last third | {report['rank_correlations']['last']['base_loss']:+.2f} | {expected:+.2f} |" in result.output
    )
    assert len(report["wrong_labels"]) == 6
    for found in report["wrong_labels"].values():
        assert (found["looked_at"], found["wrong"]) == (2, 6)
    for name in ("easy_and_hard.png", "failures.png"):
        picture = cv2.imread(str(run.path / "difficulty" / name))
        assert picture is not None
        assert picture.shape[1] == 1000
        assert np.ptp(picture) == 255


def test_a_run_without_difficulties_is_refused(tmp_path: Path) -> None:
    vanilla = run_recipe(small_recipe(adversarial_focal={"enabled": False}), tmp_path / "vanilla")
    assert refusal("difficulty", str(vanilla.path)).endswith("was trained without AFL: every difficulty is one")
    short = run_recipe(small_recipe(), tmp_path / "short")
    assert refusal("difficulty", str(short.path)) == "the score history has 2 epochs: expected three at least"
