"""The benchmark's test of itself: a server that stands still for two seconds must be seen to.

A generator with one connection sends nothing while the server stands still, and one that times its requests from when
they were sent finds a single slow one in hundreds: its 99th percentile knows of nothing ("coordinated omission", Gil
Tene). Timed from when they were due, a third of the same requests waited.
"""

import asyncio
import os
import signal
import time
from typing import NamedTuple

import numpy as np
from load_generator import Load, keypoints_message, open_loop, run
from own_server import OwnServer

STALL_SECONDS = 2.0
_RATE, _SECONDS, _STALL_AFTER = 50.0, 6.0, 2.0


class StallFigures(NamedTuple):
    """What two ways to time the same requests say, in milliseconds.

    Attributes:
        p99_from_due, max_from_due: as the benchmark does.
        p99_from_sent: as a naive generator does.
    """

    p99_from_due: float
    max_from_due: float
    p99_from_sent: float

    @property
    def complaint(self) -> str | None:
        """A sentence where the stall was not seen, or where naive timing would have seen it too."""
        least_ms = 1000 * 0.9 * STALL_SECONDS
        if min(self.p99_from_due, self.max_from_due) < least_ms:
            return f"the server stood still for {STALL_SECONDS:g} s, and the p99 is {self.p99_from_due:.0f} ms"
        if self.p99_from_sent > least_ms / 4:
            return f"timing from the send was expected to be blind, and its p99 is {self.p99_from_sent:.0f} ms"
        return None

    @property
    def sentence(self) -> str:
        """The figures."""
        return (
            f"the server stood still for {STALL_SECONDS:g} s: p99 {self.p99_from_due:.0f} ms, "
            f"max {self.max_from_due:.0f} ms; timed from the send p99 {self.p99_from_sent:.0f} ms"
        )


def stall(server: OwnServer, picture: bytes, query: str = "") -> StallFigures:
    """Pause a server amid an open loop of one connection, and time what was asked of it."""
    load = run(_load_with_stall(server, keypoints_message(server.url, picture, query)))
    from_sent = np.array([1000 * (one.done - one.sent) for one in load.answered if one.status == 200])
    from_due = load.latencies_ms(200)
    return StallFigures(float(np.percentile(from_due, 99)), float(from_due.max()), float(np.percentile(from_sent, 99)))


async def _load_with_stall(server: OwnServer, message: bytes) -> Load:
    running = asyncio.create_task(open_loop(server.url, [message], _RATE, _SECONDS, connections=1))
    await asyncio.sleep(_STALL_AFTER)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        # The stall is to be as long as it says, however late this task is woken.
        until = time.perf_counter() + STALL_SECONDS
        while (left := until - time.perf_counter()) > 0:
            await asyncio.sleep(left)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    return await running
