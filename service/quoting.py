"""Strangers' values in the words of an error."""

import reprlib
from typing import Any

_MOST_CHARACTERS = 80


def quoted(value: Any) -> str:
    """The value as an error shows it: in full if it is short, and never at the cost of its size or depth."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = _MOST_CHARACTERS
    short.maxlevel = 4
    text = short.repr(value)
    return text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 3] + "..."
