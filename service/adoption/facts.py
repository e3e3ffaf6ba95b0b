"""What is known of a file: each value with where it comes from."""

from collections.abc import Mapping
from typing import Any, NamedTuple

ASSUMED = "assumed"


class Fact(NamedTuple):
    """A value, and in words where it comes from; what nothing confirms starts with `assumed`."""

    value: Any
    source: str


Facts = Mapping[str, Fact]


def facts_from(source: str, values: Mapping[str, Any]) -> dict[str, Fact]:
    """Values of one source; None is no value."""
    return {name: Fact(value, source) for name, value in values.items() if value is not None}


def assumed(reason: str, **values: Any) -> dict[str, Fact]:
    """Values that a convention has; the reason names it."""
    return facts_from(f"{ASSUMED}: {reason}", values)


def first_of(*sources: Facts) -> dict[str, Fact]:
    """Of each value the first that any source has."""
    return {name: fact for source in reversed(sources) for name, fact in source.items()}


def shown(value: Any) -> str:
    """A value as a table shows it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
