"""The recipe that a bundle records: what it was trained on, and what it is measured on."""

from pathlib import Path

from model_export.errors import RunError
from model_export.recipe import Recipe, parse_recipe
from service.contract.bundle_manifest import MANIFEST_FILE, BundleManifest


def recipe_origin(bundle: Path) -> str:
    """Where that recipe stands, for messages."""
    return f"{bundle / MANIFEST_FILE}, training.recipe"


def recorded_recipe(bundle: Path, manifest: BundleManifest) -> Recipe:
    """The recipe in a bundle's manifest.

    Raises:
        RunError: there is none.
        RecipeError: it is not valid.
    """
    if "recipe" not in manifest.training:
        raise RunError(f"{recipe_origin(bundle)} is missing: this bundle does not say what data it is measured on")
    return parse_recipe(manifest.training["recipe"], recipe_origin(bundle))
