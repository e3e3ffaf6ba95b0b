"""A bound on what all requests hold together, such as pixels or threads, and an order in which they get it."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count


class OrderedBudget:
    """Hands out amounts in the order that those who ask for them give; for one event loop.

    Nobody is overtaken by what has a later place in the order, however small: what does not fit yet waits, and so does
    everything after it.

    Args:
        total: the most at a time; who asks for more would never get a turn.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._waiting: list[tuple[float, int, int, asyncio.Future[None]]] = []
        self._tickets = count()

    @asynccontextmanager
    async def hold(self, amount: int, order: float) -> AsyncIterator[None]:
        """Wait until the turn has come and there is room, and hold the amount while the block runs."""
        assert amount <= self._total, f"{amount} never fits into {self._total}"
        await self._take(amount, order)
        try:
            yield
        finally:
            self._give_back(amount)

    async def _take(self, amount: int, order: float) -> None:
        if not self._waiting and amount <= self._free:
            self._free -= amount
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (order, next(self._tickets), amount, turn))
        self._hand_out()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._hand_out()  # a smaller one behind it may fit
            else:
                self._give_back(amount)  # its turn came just before it was cancelled
            raise

    def _give_back(self, amount: int) -> None:
        self._free += amount
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            _, _, amount, turn = self._waiting[0]
            if not turn.cancelled():
                if amount > self._free:
                    return
                self._free -= amount
                turn.set_result(None)
            heapq.heappop(self._waiting)
