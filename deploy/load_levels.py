"""One level of load, in windows until it is steady, and its figures.

A window is some seconds and at least fifty answers. A level is steady when its last three windows lie within ten per
cent of each other, in answers per second and in the 99th percentile; its figures are those of these three. After ten
windows it is called unstable, and not averaged into something that looks as if it were not. (The rule is that of
Triton's perf_analyzer, which times requests from when they were sent; here they are timed from when they were due.)
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

import numpy as np
from load_generator import Answered, Load
from numpy.typing import NDArray

PERCENTILES = (50, 90, 95, 99, 99.9)
STEADY_WINDOWS = 3
STEADY_SPREAD = 1.10
LEAST_ANSWERS = 50
_PATIENCE = 5  # windows that one may take to come to its fifty answers

# A generator that sends late measures itself: a level whose requests go out this share of the median latency late, at
# the 99th percentile, does not count.
LAG_SHARE = 0.10
LATE_MS = 1.0

Start = Callable[[Load, Callable[[], bool]], Coroutine[Any, Any, Load]]


class Window(NamedTuple):
    """The requests that were answered in some seconds from a moment by `time.perf_counter`."""

    started: float
    seconds: float
    answered: Sequence[Answered]

    @property
    def per_second(self) -> float:
        """Answers with status 200 per second."""
        return sum(one.status == 200 for one in self.answered) / self.seconds

    @property
    def p99_ms(self) -> float:
        """Of the answers with status 200; NaN where there is none."""
        latencies = latencies_ms(self.answered)
        return float(np.percentile(latencies, 99)) if len(latencies) else float("nan")


def latencies_ms(answered: Sequence[Answered]) -> NDArray[np.float64]:
    """From when a request was due to its answer, of those with status 200."""
    return np.array([1000 * (one.done - one.due) for one in answered if one.status == 200])


def is_steady(windows: Sequence[Window]) -> bool:
    """Whether the last three lie within ten per cent of each other."""
    last = windows[-STEADY_WINDOWS:]
    both = np.array([(one.per_second, one.p99_ms) for one in last])
    # A window without answers has a p99 of NaN, which compares as false.
    return len(last) == STEADY_WINDOWS and bool((both.max(axis=0) <= STEADY_SPREAD * both.min(axis=0)).all())


async def in_windows(start: Start, window_seconds: float, most_windows: int) -> tuple[list[Window], Load]:
    """Run a load until it is steady or there are enough windows.

    Args:
        start: makes the load, given where to note answers and what to ask whether to stop.
        window_seconds: the least length of a window.
        most_windows: then the load ends, steady or not.

    Returns:
        The windows, and all that was sent, also after the last window.
    """
    load, windows, stopping = Load(), list[Window](), False
    running = asyncio.create_task(start(load, lambda: stopping))
    seen, since = 0, time.perf_counter()
    while len(windows) < most_windows and not is_steady(windows):
        for _ in range(_PATIENCE):
            await asyncio.wait([running], timeout=window_seconds)
            if running.done() or len(load.answered) - seen >= LEAST_ANSWERS:
                break
        now = time.perf_counter()
        windows.append(Window(since, now - since, load.answered[seen:]))
        seen, since = seen + len(windows[-1].answered), now
        if running.done():
            break
    stopping = True
    await running
    return windows, load


def figures(windows: Sequence[Window], load: Load) -> dict[str, Any]:
    """The figures of a level: of its last three windows, and of failures in all that was sent.

    `requests_per_second` counts answers with status 200 only. 429 is the server's way to say that there is no room: it
    stands apart from errors, which are all other ends of a request.
    """
    last = windows[-STEADY_WINDOWS:]
    answered = [one for window in last for one in window.answered]
    latencies = latencies_ms(answered)
    statuses = load.statuses()
    seconds = sum(window.seconds for window in last)
    due = sum(0 <= one.due - last[0].started < seconds for one in load.answered)
    found: dict[str, Any] = {
        "stable": is_steady(windows),
        "windows": len(windows),
        "requests": len(latencies),
        "offered_per_second": due / seconds,
        "requests_per_second": len(latencies) / seconds,
        **_percentiles(latencies),
        "rejected": statuses[429],
        "errors": {
            str(status): count for status, count in sorted(statuses.items(), key=str) if status not in (200, 429)
        },
        "window_requests_per_second": [round(window.per_second, 2) for window in windows],
        "window_p99_ms": [round(window.p99_ms, 3) for window in windows],
        "lag": {**lag_figures(load.answered), "real_time": load.real_time},
    }
    found["failed_share"] = 1 - statuses[200] / max(1, statuses.total())
    found["invalid"] = why_invalid(found)
    return found


def _percentiles(latencies: NDArray[np.float64]) -> dict[str, float | None]:
    names = [f"p{percentile:g}_ms" for percentile in PERCENTILES]
    if not len(latencies):
        return dict.fromkeys([*names, "max_ms"])
    found = dict(zip(names, map(float, np.percentile(latencies, PERCENTILES)), strict=True))
    return {**found, "max_ms": float(latencies.max())}


def lag_figures(answered: Sequence[Answered]) -> dict[str, float]:
    """How late the generator itself was: zero in a closed loop, where a request is due when it is sent."""
    lag_ms = np.array([1000 * (one.sent - one.due) for one in answered] or [0.0])
    return {"p99_ms": float(np.percentile(lag_ms, 99)), "late_share": float(np.mean(lag_ms > LATE_MS))}


def why_invalid(found: dict[str, Any]) -> str | None:
    """A sentence where a level says nothing of the server; None where it counts."""
    if not found["requests"]:
        return "no answer with status 200"
    limit_ms = LAG_SHARE * found["p50_ms"]
    if found["lag"]["p99_ms"] > limit_ms:
        return f"the generator was {found['lag']['p99_ms']:.2f} ms late at p99; at most {limit_ms:.2f} ms count"
    return None


def errors_of(found: dict[str, Any]) -> int:
    """How many requests ended neither in 200 nor in 429."""
    return Counter(found["errors"]).total()
