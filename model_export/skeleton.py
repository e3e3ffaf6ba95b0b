"""Skeletons in recipes: `keypoints.skeleton = "NAME"` stands for what that file holds: names, lines, pairs, sigmas."""

from pathlib import Path
from typing import Any

from model_export.errors import RecipeError
from service.contract.bundle_manifest import Keypoints
from service.contract.skeleton import SkeletonError, read_skeleton


def load_skeleton(name: str, folder: Path) -> Keypoints:
    """As `read_skeleton`, with the error of this half.

    Raises:
        RecipeError: there is no such skeleton, or the file is not as it should be.
    """
    try:
        return read_skeleton(name, folder)
    except SkeletonError as error:
        raise RecipeError(str(error)) from error


def resolve_skeleton(recipe: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A recipe's values with `keypoints.skeleton = "NAME"` replaced by what that skeleton holds.

    Other keys of `[keypoints]` go before those of the skeleton: `oks_sigmas` for instance.

    Args:
        recipe: not changed.
        folder: of the recipe file, which the skeleton's path is relative to.

    Raises:
        RecipeError: as `load_skeleton`.
    """
    keypoints = recipe.get("keypoints")
    if not isinstance(keypoints, dict) or not isinstance(keypoints.get("skeleton"), str):
        return recipe
    loaded = load_skeleton(keypoints["skeleton"], folder).model_dump(mode="json", exclude_none=True, exclude_unset=True)
    others = {key: value for key, value in keypoints.items() if key != "skeleton"}
    return recipe | {"keypoints": loaded | others}
