"""Figures of one server: a closed loop for its peak, an open one for latencies at a load that is given."""

import asyncio
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from load_generator import Load, closed_loop, open_loop
from peers.process_tree import cpu_seconds, memory_bytes
from peers.servers import FailedError, Running

_WARM_SECONDS = 1.0


class Figures(NamedTuple):
    """One measurement; latencies from when a request was due, of answers with status 200."""

    requests_per_second: float
    cpu_ms_per_request: float
    p50_ms: float
    p99_ms: float
    memory_mb: float
    errors: int
    generator_lag_p99_ms: float


def warm_up(server: Running, concurrency: int) -> None:
    """Answers that are not counted."""
    asyncio.run(closed_loop(server.url, [server.message], concurrency, _WARM_SECONDS))


def closed(server: Running, concurrency: int, seconds: float) -> Figures:
    """So many requests in flight, always.

    Raises:
        FailedError: there was no answer.
    """
    return _measure(server, lambda: asyncio.run(closed_loop(server.url, [server.message], concurrency, seconds)))


def open_at(server: Running, rate: float, seconds: float) -> Figures:
    """So many requests a second on average, at times that know nothing of each other, the same for every server.

    Raises:
        FailedError: there was no answer.
    """
    return _measure(
        server, lambda: asyncio.run(open_loop(server.url, [server.message], rate, seconds, arrivals="poisson"))
    )


def _measure(server: Running, load_it: Callable[[], Load]) -> Figures:
    used = cpu_seconds(server.mark)
    load = load_it()
    used = cpu_seconds(server.mark) - used
    latencies = load.latencies_ms(200)
    if not len(latencies):
        raise FailedError(f"{server.url}: no answer with status 200, but {dict(load.statuses())}")
    return Figures(
        requests_per_second=load.rate(),
        cpu_ms_per_request=1000 * used / len(latencies),
        p50_ms=float(np.percentile(latencies, 50)),
        p99_ms=float(np.percentile(latencies, 99)),
        memory_mb=memory_bytes(server.mark) / 1e6,
        errors=len(load.answered) - len(latencies),
        generator_lag_p99_ms=float(np.percentile(load.lag_ms(), 99)),
    )


def median(figures: Sequence[Figures]) -> Figures:
    """Of each figure over several rounds; errors are summed."""
    columns = zip(*figures, strict=True)
    found = Figures(*(statistics.median(column) for column in columns))
    return found._replace(errors=sum(one.errors for one in figures))
