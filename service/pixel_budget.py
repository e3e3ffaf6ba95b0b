"""A bound on the pixels that are in memory at a time, over all requests."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class PixelBudget:
    """First come, first served; for one event loop.

    A picture holds its pixels from before it is decoded until its last crop is cut, also while its first crop waits for
    the model. Without a bound on the sum, every request in flight could hold one of the largest size.

    Args:
        pixels: the most at a time; a picture of more would never get its turn.
    """

    def __init__(self, pixels: int) -> None:
        self._free = pixels
        self._pixels = pixels
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, pixels: int) -> AsyncIterator[None]:
        """Wait until there is room for so many, and hold them while the block runs."""
        assert pixels <= self._pixels, f"{pixels} pixels never fit into {self._pixels}"
        await self._take(pixels)
        try:
            yield
        finally:
            self._give_back(pixels)

    async def _take(self, pixels: int) -> None:
        if not self._waiting and pixels <= self._free:
            self._free -= pixels
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((pixels, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._hand_out()  # a smaller one behind it may fit
            else:
                self._give_back(pixels)  # its turn came just before it was cancelled
            raise

    def _give_back(self, pixels: int) -> None:
        self._free += pixels
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            pixels, turn = self._waiting[0]
            if not turn.cancelled():
                if pixels > self._free:
                    return
                self._free -= pixels
                turn.set_result(None)
            self._waiting.popleft()
