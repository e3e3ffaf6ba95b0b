"""The highest rate that a service keeps up with, by bisection over levels of an open loop."""

from collections.abc import Callable, Sequence
from typing import Any

FAILED_SHARE = 0.001
ANSWERED_SHARE = 0.97  # of what fell due meanwhile; below, the queue grows for as long as one asks
STEPS = 6
_CLOSE_ENOUGH = 0.03


def holds(found: dict[str, Any], p99_limit_ms: float) -> bool:
    """Whether a level of an open loop kept to the limit: in each of its last windows, not on their average."""
    return (
        found["invalid"] is None
        and found["failed_share"] <= FAILED_SHARE
        and found["requests_per_second"] >= ANSWERED_SHARE * found["offered_per_second"]
        and all(p99_ms <= p99_limit_ms for p99_ms in found["window_p99_ms"][-3:])
    )


def search_rate(
    measure: Callable[[float], dict[str, Any]], highest: float, p99_limit_ms: float, steps: int = STEPS
) -> tuple[float, list[dict[str, Any]]]:
    """The highest rate below `highest` at which a level holds, to three per cent of `highest`.

    Args:
        measure: figures of a level of an open loop at a rate, as `load_levels.figures` and its `rate`.
        highest: requests per second that the service cannot exceed: its peak in a closed loop.
        p99_limit_ms: what the 99th percentile may be.
        steps: levels at most.

    Returns:
        The rate, 0 where none holds, and the levels in the order in which they were measured.
    """
    low, high, levels = 0.0, highest, list[dict[str, Any]]()
    while len(levels) < steps and high - low > _CLOSE_ENOUGH * highest:
        rate = (low + high) / 2
        levels.append({**measure(rate), "rate": rate})
        if holds(levels[-1], p99_limit_ms):
            low = rate
        else:
            high = rate
    return low, levels


def peak(levels: Sequence[dict[str, Any]]) -> float:
    """The most requests per second of any closed loop."""
    return max((float(one["requests_per_second"]) for one in levels if one["mode"] == "closed"), default=0.0)
