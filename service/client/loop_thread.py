"""An event loop in a thread of its own, for callers that have none."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class LoopThread:
    """Runs coroutines for any number of threads; it starts when it is made.

    Args:
        last: what is done before it ends.
    """

    def __init__(self, last: Callable[[], Awaitable[None]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._last = last
        # A daemon: a client that nobody closed must not keep the process.
        self._thread = threading.Thread(target=self._run, name="focalpoint-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the coroutine gives or raises; an interrupted caller (Ctrl-C) cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # without effect where it has ended by itself
            raise

    def end(self) -> None:
        """Have it cancel what still runs and end, soon; once."""
        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._end()))

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        try:
            await self._last()
        finally:
            self._loop.stop()
