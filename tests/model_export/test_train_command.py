"""`focalpoint train` as a user starts it: on two devices, with changed values, and when it cannot go on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w
import torch
from typer.testing import CliRunner

from model_export.run_folder import RunFolder
from service.cli import build_command_line
from tests.model_export.recipes import recipe_values, shipped_recipe_path

SMALL = {
    "data.train_count": "64",
    "data.validation_count": "8",
    "network.widths": "[8, 8, 12, 16]",
    "optimisation.epochs": "2",
    "optimisation.batch_size": "16",
}


def arguments(folder: Path, *options: str, **changes: str) -> list[str]:
    """The drawn faces, made small by `--set`, into `folder`."""
    settings = SMALL | {f"optimisation.{key}": value for key, value in changes.items()}
    changed = [f"--set={key}={value}" for key, value in settings.items()]
    return ["train", str(shipped_recipe_path("drawn_faces")), "--run", str(folder), *changed, *options]


def start(command: list[str]) -> subprocess.CompletedProcess[str]:
    """In a process of its own, which torchrun's signal handlers do no harm."""
    environment = {"PATH": os.defpath, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        [sys.executable, "-m", "service", *command],
        capture_output=True,
        text=True,
        env=environment,
        timeout=250,
        check=False,
    )


def test_two_devices_learn_what_one_does(tmp_path: Path) -> None:
    """Each takes batch norm's statistics over its own half, and rounding decides at the kinks of the ReLUs: not equal.

    The tests of `test_devices.py` leave both out and find the same numbers to five digits and more.
    """
    one = CliRunner().invoke(build_command_line(), arguments(tmp_path / "one"))
    two = start(arguments(tmp_path / "two", "--devices=2"))
    assert (one.exit_code, two.returncode) == (0, 0), two.stderr
    lines = two.stdout.splitlines()
    assert "2 x cpu, 32-true, batches of 16 in 2 pieces of 8" in lines
    assert [line.split("  ")[0] for line in lines if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]

    alone, shared = (RunFolder(tmp_path / name) for name in ("one", "two"))
    for first, second in zip(alone.read_metrics(), shared.read_metrics(), strict=True):
        assert second["base_loss"] == pytest.approx(first["base_loss"], rel=0.05)  # measured 1.4 % and 0.8 %
    assert [entry["devices"] for entry in shared.versions()] == ["2 x cpu"]
    assert shared.recipe() == alone.recipe()
    assert shared.recipe().optimisation.batch_size == 16


def test_a_fault_on_several_devices_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("image,x0,y0,x1,y1,x2,y2,x3,y3,x4,y4\nabsent.png" + 10 * ",7" + "\n")
    values = recipe_values()
    values["data"] = {"format": "csv", "root": str(tmp_path), "train": "labels.csv", "validation": "labels.csv"}
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(values))
    found = start(["train", str(tmp_path / "recipe.toml"), "--run", str(tmp_path / "run"), "--devices=2"])
    assert found.returncode == 1
    assert found.stderr == f"focalpoint: picture {tmp_path}/absent.png cannot be read: No such file or directory\n"
    assert not (tmp_path / "run").exists()


def test_a_batch_that_the_devices_cannot_share_is_refused_before_they_start(tmp_path: Path) -> None:
    found = CliRunner().invoke(build_command_line(), arguments(tmp_path / "run", "--devices=2", batch_size="9"))
    assert found.exit_code == 1
    assert found.stderr == (
        "focalpoint: optimisation.batch_size is 9, which 2 devices with optimisation.accumulation 1 do not divide\n"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine computes in float16")
def test_a_precision_that_the_machine_lacks_is_refused(tmp_path: Path) -> None:
    found = CliRunner().invoke(build_command_line(), arguments(tmp_path / "run", precision="16-mixed"))
    assert found.exit_code == 1
    assert found.stderr.startswith("focalpoint: optimisation.precision is 16-mixed, which needs a GPU")
