"""Recipes for tests: the drawn faces, small enough for a second of training."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from model_export.adversarial_focal_section import FORMS, AdversarialFocal
from model_export.recipe import Recipe, parse_recipe
from model_export.skeleton import resolve_skeleton


def shipped_recipe_path(name: str) -> Path:
    """The recipe file of that name in `model_export/recipes`."""
    return Path(str(files("model_export"))) / "recipes" / f"{name}.toml"


def recipe_values(name: str = "drawn_faces") -> dict[str, Any]:
    """A shipped recipe as a mapping, its skeleton written out, to be changed."""
    path = shipped_recipe_path(name)
    return resolve_skeleton(tomllib.loads(path.read_text(encoding="utf-8")), path.parent)


def small_recipe(**changes: dict[str, Any]) -> Recipe:
    """The drawn faces with a tiny network and two epochs of three batches; `changes` update whole sections."""
    values = recipe_values()
    values["data"] |= {"train_count": 24, "validation_count": 6}
    values["network"] |= {"widths": [8, 8, 12, 16], "top_down_width": 12}
    values["optimisation"] |= {"epochs": 2, "batch_size": 8, "validate_every": 1}
    for section, update in changes.items():
        values[section] = values[section] | update
    return parse_recipe(values, "a test")


def afl_settings(**changes: object) -> AdversarialFocal:
    """AFL as printed, but for the peak as place, existence by the label, and `changes`."""
    return AdversarialFocal.model_validate(FORMS["as_printed"] | {"place": "peak", "existence": "label"} | changes)
