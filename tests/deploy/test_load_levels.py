"""Windows, steadiness, percentiles and what does not count, on made-up series."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from load_generator import Answered, Load
from load_levels import Window, errors_of, figures, in_windows, is_steady
from numpy.typing import NDArray


def window(
    started: float, latencies_ms: Sequence[float] | NDArray[np.float64], *, status: int | str = 200, lag_ms: float = 0
) -> Window:
    """A second in which these were answered, each due that long before its answer."""
    done = started + (np.arange(len(latencies_ms)) + 0.5) / max(1, len(latencies_ms))
    due = done - np.asarray(latencies_ms) / 1000
    answered = [Answered(status, float(d), float(d) + lag_ms / 1000, float(e)) for d, e in zip(due, done, strict=True)]
    return Window(started, 1.0, answered)


def load_of(windows: Sequence[Window]) -> Load:
    return Load(1.0 * len(windows), answered=[one for window in windows for one in window.answered])


def test_the_percentiles_are_those_of_all_answers_in_the_last_three_windows() -> None:
    random = np.random.default_rng(0)
    latencies = random.permutation(np.arange(1, 3001) / 10).reshape(3, 1000)
    windows = [window(0, [5000.0] * 1000), *(window(1 + number, row) for number, row in enumerate(latencies))]
    found = figures(windows, load_of(windows))
    expected = dict(zip((50, 90, 95, 99, 99.9), (150.05, 270.01, 285.005, 297.001, 299.7001), strict=True))
    for percentile, value in expected.items():
        assert found[f"p{percentile:g}_ms"] == pytest.approx(value, abs=1e-6)
    assert found["max_ms"] == pytest.approx(300)
    assert found["requests"] == 3000
    assert found["requests_per_second"] == pytest.approx(1000)


def test_three_windows_within_ten_per_cent_are_steady() -> None:
    steady = [window(0, [10] * 100), window(1, [10.9] * 109), window(2, [10.5] * 100)]
    assert is_steady(steady)
    assert not is_steady(steady[:2])
    assert not is_steady([*steady, window(3, [10.5] * 60)]), "fewer answers"
    assert not is_steady([*steady, window(3, [15] * 100)]), "slower ones"
    assert not is_steady([*steady, window(3, [])]), "none"


def test_what_is_not_steady_says_so() -> None:
    windows = [window(0, [10] * 100), window(1, [20] * 100), window(2, [10] * 100)]
    found = figures(windows, load_of(windows))
    assert not found["stable"]
    assert found["window_p99_ms"] == [10, 20, 10]


def test_429_stands_apart_from_errors_and_neither_is_throughput() -> None:
    windows = [
        window(0, [10] * 90),
        window(1, [1] * 30, status=429),
        window(2, [1] * 2, status=503),
        window(2, [1], status="EOFError"),
    ]
    found = figures(windows, load_of(windows))
    assert found["rejected"] == 30
    assert found["errors"] == {"503": 2, "EOFError": 1}
    assert errors_of(found) == 3
    assert found["failed_share"] == pytest.approx(33 / 123)
    assert found["requests"] == 0, "of the last three windows"
    assert found["invalid"] == "no answer with status 200"


@pytest.mark.parametrize(("lag_ms", "valid"), [(0.9, True), (1.1, False)])
def test_a_generator_that_is_late_by_a_tenth_of_the_median_makes_a_level_invalid(lag_ms: float, valid: bool) -> None:
    windows = [window(number, [10] * 100, lag_ms=lag_ms) for number in range(3)]
    found = figures(windows, load_of(windows))
    assert (found["invalid"] is None) == valid
    assert found["lag"]["p99_ms"] == pytest.approx(lag_ms)
    assert found["lag"]["late_share"] == (0.0 if valid else 1.0)


def test_what_falls_due_is_counted_apart_from_what_is_answered() -> None:
    # Twice as many fall due as are answered.
    answered = [Answered(200, due=index / 200, sent=index / 200, done=index / 100) for index in range(600)]
    windows = [Window(second, 1.0, answered[second * 100 : second * 100 + 100]) for second in range(3)]
    found = figures(windows, Load(6.0, answered=answered))
    assert found["requests_per_second"] == pytest.approx(100)
    assert found["offered_per_second"] == pytest.approx(200)


def test_a_level_ends_after_the_last_window_where_it_does_not_become_steady() -> None:
    async def ever_slower(load: Load, stop: Callable[[], bool]) -> Load:
        latency = 1.0
        while not stop():
            load.answered += [Answered(200, 0.0, 0.0, latency := 1.01 * latency) for _ in range(30)]
            await asyncio.sleep(0.005)
        return load

    windows, load = asyncio.run(in_windows(ever_slower, 0.01, 5))
    assert len(windows) == 5
    assert not is_steady(windows)
    assert all(len(one.answered) >= 50 for one in windows)
    assert sum(len(one.answered) for one in windows) <= len(load.answered)


def test_a_level_ends_as_soon_as_it_is_steady() -> None:
    async def at_once(load: Load, _: Callable[[], bool]) -> Load:
        return load

    windows, _ = asyncio.run(in_windows(at_once, 0.01, 5))
    assert len(windows) == 1, "whoever has ended does not go on"
