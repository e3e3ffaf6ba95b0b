"""The search for the highest rate, on a made-up service."""

from typing import Any

import pytest
from rate_search import holds, peak, search_rate


def level(rate: float, **other: Any) -> dict[str, Any]:
    return {
        "rate": rate,
        "invalid": None,
        "failed_share": 0.0,
        "offered_per_second": rate,
        "requests_per_second": rate,
        "window_p99_ms": [500, 20, 20, 20],
        **other,
    }


def test_it_finds_the_knee() -> None:
    def measure(rate: float) -> dict[str, Any]:
        p99_ms = 20 if rate <= 137 else 300
        return level(rate, window_p99_ms=[p99_ms] * 3)

    found, levels = search_rate(measure, 200, p99_limit_ms=50)
    assert 137 - 0.03 * 200 <= found <= 137
    assert len(levels) <= 6
    assert levels[0]["rate"] == 100


def test_nothing_holds() -> None:
    found, levels = search_rate(lambda rate: level(rate, invalid="late"), 200, p99_limit_ms=50)
    assert found == 0
    assert len(levels) == 6


@pytest.mark.parametrize(
    ("other", "held"),
    [
        ({}, True),
        ({"window_p99_ms": [20, 20, 51]}, False),
        ({"failed_share": 0.001}, True),
        ({"failed_share": 0.0011}, False),
        ({"requests_per_second": 96.0}, False),
        ({"window_p99_ms": [float("nan")] * 3}, False),
    ],
)
def test_a_level_holds_if_every_window_does(other: dict[str, Any], held: bool) -> None:
    assert holds(level(100, **other), p99_limit_ms=50) is held


def test_the_peak_is_of_closed_loops() -> None:
    levels = [
        {"mode": mode, "requests_per_second": rate} for mode, rate in (("closed", 9), ("closed", 7), ("open", 20))
    ]
    assert peak(levels) == 9
    assert peak([]) == 0
