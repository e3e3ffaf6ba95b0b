"""Run folders as arms with seeds."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from model_export.comparison.comparable import check_same_terms
from model_export.errors import RunError
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder


class RunGroups(NamedTuple):
    """The runs of each arm by their seed, and each arm's recipe, the seed left out of account."""

    arms: dict[str, dict[int, RunFolder]]
    recipes: dict[str, Recipe]


def group_runs(paths: Sequence[Path]) -> RunGroups:
    """Runs whose recipes differ in nothing but the seed are an arm, named after its first run.

    A name is what a folder's path does not share with the others.

    Args:
        paths: run folders; the first one's arm comes first.

    Raises:
        RunError: a run cannot be read, arms do not have the same seeds, two at least, or cannot be compared.
    """
    above = os.path.commonpath([path.absolute().parent for path in paths])
    groups = RunGroups({}, {})
    for path in paths:
        run = RunFolder(path)
        recipe = run.recipe()
        unseeded = recipe.model_copy(update={"seed": 0})
        own_name = str(path.absolute().relative_to(above))
        name = next((name for name, other in groups.recipes.items() if other == unseeded), own_name)
        groups.recipes[name] = unseeded
        runs = groups.arms.setdefault(name, {})
        if recipe.seed in runs:
            raise RunError(f"{path} and {runs[recipe.seed].path} are the same recipe with the same seed")
        runs[recipe.seed] = run
    _check_seeds(groups.arms)
    check_same_terms(groups.recipes)
    return groups


def _check_seeds(arms: Mapping[str, Mapping[int, RunFolder]]) -> None:
    first, *others = arms
    if not others:
        raise RunError(f"{first} and the other runs differ in nothing but the seed: expected two arms at least")
    for name in others:
        if arms[name].keys() != arms[first].keys():
            seeds = [", ".join(map(str, sorted(arms[arm]))) for arm in (first, name)]
            raise RunError(
                f"arms {first} and {name} have seeds {seeds[0]} and {seeds[1]}: "
                f"arms are only compared on the same seeds"
            )
    if len(arms[first]) == 1:
        raise RunError(f"arm {first} has one seed: a difference needs two at least to be told from chance")
