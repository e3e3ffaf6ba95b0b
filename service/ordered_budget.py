"""A bound on what all requests hold together, such as pixels in memory, and an order in which they get it."""

import asyncio
import heapq
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count


class OrderedBudget:
    """Hands out amounts in the order that those who ask for them give; they ask in one event loop.

    Nobody is overtaken by what has a later place in the order, however small: what does not fit yet waits, and so does
    everything after it.

    Args:
        total: the most at a time; who asks for more would never get a turn.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._lock = threading.Lock()  # for what is free, and for whether somebody waits
        self._free = total
        self._waiting: list[tuple[float, int, int, asyncio.Future[None]]] = []
        self._tickets = count()

    @asynccontextmanager
    async def hold(self, amount: int, order: float) -> AsyncIterator[Callable[[], None]]:
        """Wait until the turn has come and there is room, and hold the amount while the block runs, at the longest.

        The block gets a function that gives the amount back before its end; any thread may call it, once or more often.
        """
        assert amount <= self._total, f"{amount} never fits into {self._total}"
        loop = asyncio.get_running_loop()
        await self._take(amount, order)
        held = amount

        def release() -> None:
            nonlocal held
            with self._lock:
                given_back, held = held, 0
                self._free += given_back
                somebody_waits = bool(given_back and self._waiting)
            if somebody_waits:
                loop.call_soon_threadsafe(self._hand_out)

        try:
            yield release
        finally:
            release()

    async def _take(self, amount: int, order: float) -> None:
        with self._lock:
            if not self._waiting and amount <= self._free:
                self._free -= amount
                return
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (order, next(self._tickets), amount, turn))
        self._hand_out()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn came just before it was cancelled
                with self._lock:
                    self._free += amount
            self._hand_out()  # a smaller one behind it may fit
            raise

    def _hand_out(self) -> None:
        with self._lock:
            while self._waiting:
                _, _, amount, turn = self._waiting[0]
                if not turn.cancelled():
                    if amount > self._free:
                        return
                    self._free -= amount
                    turn.set_result(None)
                heapq.heappop(self._waiting)
