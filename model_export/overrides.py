"""`--set KEY=VALUE`: values of a recipe changed on the command line, before anything is checked."""

import tomllib
from collections.abc import Sequence
from typing import Any

from model_export.errors import RecipeError


def override(values: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """A recipe as a mapping, with some values replaced; a key that does not exist is found when the recipe is checked.

    Args:
        values: the recipe; not changed.
        settings: each `section.key=value`; the value is TOML, and text where it is no TOML. Nothing after the `=` takes
            the key out.

    Raises:
        RecipeError: a setting has no `=`, or its key leads through a value that is no section.
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not all(key.split(".")):
            raise RecipeError(f"--set {setting}: expected KEY=VALUE, such as optimisation.epochs=1")
        values = _with_value(values, key.strip().split("."), text.strip(), setting)
    return values


def _with_value(section: Any, path: Sequence[str], text: str, setting: str) -> dict[str, Any]:
    key, *rest = path
    if not isinstance(section, dict):
        raise RecipeError(f"--set {setting}: what stands before .{key} is no section")
    if rest:
        return {**section, key: _with_value(section.get(key, {}), rest, text, setting)}
    others = {name: value for name, value in section.items() if name != key}
    return {**others, key: _parse(text)} if text else others


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
