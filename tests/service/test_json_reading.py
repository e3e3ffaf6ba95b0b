"""JSON that is meant to hurt is refused before anything is built from it."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.json_reading import JsonError, parse_json

MANY = 10_000
JSON_VALUES: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_json_is_read(value: Any) -> None:
    assert parse_json(json.dumps(value).encode(), MANY) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a": 1, "a": 1}', "'a' stands twice"),
        (b'{"a": 1, "\\u0061": 2}', "'a' stands twice"),
        (b'[{"b": {"a:": ":", "a:": ":"}}]', "'a:' stands twice"),
        (b"NaN", "expected a JSON value"),
        (b"[-Infinity]", "no digit"),
        (b"1e999", "infinity"),
        (b"1" * 5000, "infinity"),
        (b'"\\ud800"', "surrogate"),
        (b'"\xff"', "UTF-8"),
        (b"", "empty"),
        (b"[" * 5000, "depth"),
        (b"[" * 1010 + b'{"a": ":"}' + b"]" * 1010, "nested too deeply"),
    ],
)
def test_what_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(JsonError, match=words):
        parse_json(text, MANY)


@pytest.mark.parametrize("text", [b"[" + b"[]," * 2_000_000 + b"[]]", b"[" * 4_000_000, b"[" + b'{"a":{},' * 700_000])
def test_a_flood_of_values_is_never_built(text: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(JsonError, match="at most 10000 values, found more"):
            parse_json(text, MANY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000
