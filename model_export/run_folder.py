"""A run folder: the resolved recipe, versions, metrics, curves and the checkpoint of one training run."""

import json
import os
import platform
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tomli_w
import torch

from model_export.errors import RecipeError, RunError
from model_export.recipe import Recipe, parse_recipe

CHECKPOINT_FILE = "last.pt"
RECIPE_FILE = "recipe.toml"
METRICS_FILE = "metrics.jsonl"
VERSIONS_FILE = "versions.json"
_RECORDED_PACKAGES = ("focalpoint", "torch", "numpy", "opencv-python-headless", "lightning-fabric")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run. Every file is written aside and then renamed, so that none is ever half there."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint: weights, critic, optimisers, schedule, random state, epoch."""
        return self.path / CHECKPOINT_FILE

    @property
    def metrics(self) -> Path:
        """One JSON object per epoch."""
        return self.path / METRICS_FILE

    def check_unused(self) -> None:
        """Refuse to start where a run is; one that was cut short in its first epoch is none.

        Raises:
            RunError: the folder already holds a run.
        """
        if self.checkpoint.exists():
            raise RunError(f"{self.path} already holds a run: give --resume to go on with it, or another --run folder")

    def start(self, recipe: Recipe) -> None:
        """Make the folder and record the recipe.

        Raises:
            RunError: the folder already holds a run.
        """
        self.check_unused()
        self.path.mkdir(parents=True, exist_ok=True)
        self._write(VERSIONS_FILE, "[]\n")
        self._write(RECIPE_FILE, tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)))

    def resume(self, recipe: Recipe) -> None:
        """Check that this run can go on with that recipe.

        Raises:
            RunError: there is no checkpoint, or the recipe is another than the one that the run started with.
        """
        if not self.checkpoint.exists():
            raise RunError(f"{self.path} holds no checkpoint to resume from")
        if self.recipe() != recipe:
            raise RunError(
                f"{self.path / RECIPE_FILE} differs from the recipe given: a run resumes with its own recipe"
            )

    def recipe(self) -> Recipe:
        """The resolved recipe of the run.

        Raises:
            RunError: the folder holds no valid one.
        """
        path = self.path / RECIPE_FILE
        try:
            return parse_recipe(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
        except (OSError, tomllib.TOMLDecodeError, RecipeError) as error:
            raise RunError(f"{self.path} is not a run folder: {error}") from error

    def record_versions(self, epochs_done: int, command: str, devices: str) -> None:
        """Add what the run is started or resumed with: by which command, on which devices, with which versions.

        Raises:
            RunError: what was recorded before cannot be read.
        """
        entry = {"epochs_done": epochs_done, "command": command, **installed_versions(), "devices": devices}
        self._write(VERSIONS_FILE, json.dumps([*self.versions(), entry], indent=2) + "\n")

    def versions(self) -> list[dict[str, Any]]:
        """What the run was started with and each time resumed with: epochs done, command, packages, commit, devices.

        Raises:
            RunError: the record is missing or is not valid.
        """
        path = self.path / VERSIONS_FILE
        try:
            versions: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{path} cannot be read: {error}") from error
        if not isinstance(versions, list):
            raise RunError(f"{path}: expected a list of versions, found {type(versions).__name__}")
        return versions

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Write the checkpoint; the one before it stands until all of the new one is on the disk."""
        partial = self.checkpoint.with_suffix(".partial")
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.checkpoint)

    def load_checkpoint(self) -> dict[str, Any]:
        """The checkpoint, tensors on the CPU.

        Raises:
            RunError: it is not there or cannot be read.
        """
        if not self.checkpoint.exists():
            raise RunError(f"{self.path} holds no checkpoint: none of its epochs is done")
        try:
            state: dict[str, Any] = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except Exception as error:
            first_line = str(error).partition("\n")[0]
            raise RunError(f"checkpoint {self.checkpoint} cannot be read: {first_line}") from error
        return state

    def append_metrics(self, record: dict[str, Any]) -> None:
        """Add one epoch's record; a record of the same or a later epoch (from a run cut short) is replaced."""
        kept = [old for old in self.read_metrics() if old["epoch"] < record["epoch"]]
        self._write(METRICS_FILE, "".join(json.dumps(entry) + "\n" for entry in [*kept, record]))

    def read_metrics(self) -> list[dict[str, Any]]:
        """The records of all epochs so far."""
        if not self.metrics.exists():
            return []
        return [json.loads(line) for line in self.metrics.read_text(encoding="utf-8").splitlines()]

    def _write(self, name: str, text: str) -> None:
        partial = self.path / f"{name}.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.path / name)


def installed_versions() -> dict[str, str]:
    """What a run or a bundle is made with: Python, machine, packages, and the commit (`-dirty` with other changes)."""
    found = {package: version(package) for package in _RECORDED_PACKAGES}
    commit = subprocess.run(
        ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    source = commit.stdout.strip() if commit.returncode == 0 else "not a git checkout"
    return {"python": sys.version.split()[0], "machine": platform.machine(), "commit": source, **found}
