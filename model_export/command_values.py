"""Values of the command line that are more than a word."""

import re
import tomllib
from collections.abc import Sequence
from typing import Any

from model_export.errors import RecipeError

_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")


def parse_size(text: str) -> tuple[int, int]:
    """`HEIGHTxWIDTH` in pixels -> width, height.

    Raises:
        RecipeError: it is not of that form.
    """
    found = _SIZE.fullmatch(text)
    if not found:
        raise RecipeError(f"--input: expected HEIGHTxWIDTH in pixels, such as 256x192, found {text!r}")
    return int(found[2]), int(found[1])


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` pairs, the values as a recipe would write them; a bare word is a text.

    Raises:
        RecipeError: one is not of that form, or a key is given twice.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.isidentifier():
            raise RecipeError(f"--option: expected KEY=VALUE, found {pair!r}")
        if key in options:
            raise RecipeError(f"--option: {key} is given twice")
        try:
            options[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError as error:
            if not text.isidentifier():
                raise RecipeError(f"--option {key}: expected a value as in a recipe, found {text!r}") from error
            options[key] = text
    return options
