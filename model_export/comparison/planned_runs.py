"""The runs of a comparison: one for each arm and seed, each a command of its own; which of them are left to do."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_export.comparison.arms import Arm
from model_export.errors import RunError
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder, installed_versions


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run.

    Attributes:
        arm: its name.
        recipe: with the seed in it.
        folder: of the run.
        arguments: of `focalpoint` for starting it.
    """

    arm: str
    seed: int
    recipe: Recipe
    folder: RunFolder
    arguments: tuple[str, ...]

    def command(self, threads: int) -> str:
        """What trains this run alone: the number of threads changes the order of summation, so it belongs to it."""
        return f"OMP_NUM_THREADS={threads} {shlex.join(('focalpoint', *self.arguments))}"

    def is_done(self, *, any_code: bool) -> bool:
        """Whether all epochs are done, by this recipe and code.

        Args:
            any_code: whatever versions did it.

        Raises:
            RunError: the folder holds a run of another recipe or, without `any_code`, of other versions.
        """
        folder = self.folder
        if not folder.checkpoint.exists():
            return False
        if folder.recipe() != self.recipe:
            raise RunError(
                f"{folder.path} holds a run of another recipe than arm {self.arm} with seed {self.seed}: "
                f"give another --output folder, or remove it"
            )
        if not any_code:
            self._check_versions()
        epochs: int = folder.load_checkpoint()["epoch"]
        return epochs == self.recipe.optimisation.epochs

    def _check_versions(self) -> None:
        here = installed_versions()
        for entry in self.folder.versions():
            for key, version in here.items():
                if entry.get(key) != version:
                    raise RunError(
                        f"{self.folder.path} was trained with {key} {entry.get(key)}, this is {version}: give another "
                        f"--output folder, or --any-code to take it as it is"
                    )


def plan_runs(
    recipe_path: Path, settings: Sequence[str], arms: Mapping[Arm, Recipe], seeds: Sequence[int], output: Path
) -> list[PlannedRun]:
    """All arms of a seed, then the next seed: whatever is done when a comparison is cut short has its partners.

    Args:
        recipe_path, settings: of all arms.
        arms: as `plan_arms` gives them.
        seeds: of each arm.
        output: folder below which the runs lie.
    """
    runs = []
    for seed in seeds:
        for arm, recipe in arms.items():
            folder = output / arm.name / f"seed_{seed}"
            changes = [f"--set={setting}" for setting in (*settings, *arm.settings)]
            arguments = ("train", str(recipe_path), f"--run={folder}", f"--seed={seed}", *changes)
            seeded = recipe.model_copy(update={"seed": seed})
            runs.append(PlannedRun(arm.name, seed, seeded, RunFolder(folder), arguments))
    return runs
