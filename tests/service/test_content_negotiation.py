"""What a client accepts decides what it gets; JSON where it does not care."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.content_negotiation import choose_media_type
from service.errors import NotAcceptable

OFFERED = ("application/json", "image/png")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        (BROWSER, "application/json"),
        ("image/png", "image/png"),
        ("IMAGE/*", "image/png"),
        ("image/png, application/json", "application/json"),
        ("image/png, application/json;q=0.9", "image/png"),
        ("application/json;q=0, */*", "image/png"),
        ("image/*;q=0.2, */*;q=0.1", "image/png"),
        ("text/plain, application/*;q=0.001", "application/json"),
        ("application/json; charset=utf-8; q=1", "application/json"),
    ],
)
def test_the_best_of_what_there_is(accept: str, expected: str) -> None:
    assert choose_media_type(accept, OFFERED) == expected


@pytest.mark.parametrize("accept", ["text/html", "image/jpeg", "*/*;q=0", "application/json;q=0.0", "nonsense", ";"])
def test_nothing_that_there_is(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="expected application/json or image/png, found"):
        choose_media_type(accept, OFFERED)


@given(st.text())
def test_garbage_is_a_choice_or_not_acceptable(accept: str) -> None:
    try:
        chosen = choose_media_type(accept, OFFERED)
    except NotAcceptable as error:
        chosen = str(error)
    assert chosen in OFFERED or (chosen.startswith("Accept: expected application/json") and len(chosen) < 200)
