"""JSON from strangers: how much may be built from it is known before anything is."""

import json
from typing import Any

import orjson

from service.quoting import quoted


class JsonError(ValueError):
    """The text is not JSON as it is taken here; the message says why."""


def parse_json(text: bytes, max_values: int) -> Any:
    """What the text says; a member that stands twice is an error, as RFC 8259 leaves open which of them counts.

    Three bytes of `[],` become a list of fifty-six: a body of megabytes could ask for gigabytes. So commas and opening
    brackets are counted first; base64 has none.

    Args:
        text: JSON in UTF-8.
        max_values: the most commas and opening brackets together, about the number of values.

    Raises:
        JsonError: it is not JSON, has a member twice, or more values.
    """
    if sum(text.count(mark) for mark in (b",", b"[", b"{")) > max_values:
        raise JsonError(f"expected at most {max_values} values, found more")
    try:
        value = orjson.loads(text)
        # Each member has a colon, so there are no duplicates unless there are more colons than members.
        if text.count(b":") != _members(value):
            json.loads(text, object_pairs_hook=_refuse_duplicates)
    except RecursionError as error:
        raise JsonError("it is nested too deeply") from error
    except ValueError as error:
        raise JsonError(str(error)) from error
    return value


def _members(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_members, value.values()))
    return sum(map(_members, value)) if isinstance(value, list) else 0


def _refuse_duplicates(members: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            raise JsonError(f"the member {quoted(name)} stands twice")
        seen.add(name)
