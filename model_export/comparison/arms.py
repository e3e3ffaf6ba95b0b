"""The arms of a comparison: one recipe, and what each arm changes in it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from model_export.comparison.comparable import check_same_terms
from model_export.errors import RunError
from model_export.recipe import Recipe, load_recipe

VANILLA = "vanilla"
AFL = "afl"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
# A comma separates settings only where a key and its `=` follow: lists hold commas too.
_BETWEEN_SETTINGS = re.compile(r",(?=[A-Za-z0-9_.-]+=)")


class Arm(NamedTuple):
    """A name, and the settings (`section.key=value`) that make the recipe this arm's."""

    name: str
    settings: tuple[str, ...]


def parse_arm(text: str) -> Arm:
    """`NAME=KEY=VALUE,KEY=VALUE` as an arm; a value may be a list, but no table.

    Raises:
        RunError: it is not of that form.
    """
    name, equals, settings = text.partition("=")
    if not _NAME.fullmatch(name) or not equals or "=" not in settings:
        raise RunError(
            f"--arm {text}: expected NAME=KEY=VALUE,KEY=VALUE with a name of lower-case letters, digits and ._-, "
            f"such as printed=adversarial_focal.weights=as_printed"
        )
    return Arm(name, tuple(_BETWEEN_SETTINGS.split(settings)))


def plan_arms(recipe_path: Path, settings: Sequence[str], more: Sequence[Arm]) -> dict[Arm, Recipe]:
    """The vanilla arm, the recipe as it stands (AFL, if it is enabled there), and `more`; with each its recipe.

    Args:
        recipe_path: of the recipe.
        settings: changes to it for all arms.
        more: arms, whose settings come on top.

    Raises:
        RecipeError: a recipe is not valid.
        RunError: a name is given twice, or arms cannot be compared, see `check_same_terms`.
    """
    arms = [Arm(VANILLA, ("adversarial_focal.enabled=false",))]
    if load_recipe(recipe_path, settings).adversarial_focal.enabled:
        arms.append(Arm(AFL, ()))
    arms += more
    names = [arm.name for arm in arms]
    for name in names:
        if names.count(name) > 1:
            raise RunError(f"--arm {name}=...: there are two arms of that name, expected another one")
    planned = {arm: load_recipe(recipe_path, [*settings, *arm.settings]) for arm in arms}
    check_same_terms({arm.name: recipe for arm, recipe in planned.items()})
    return planned
