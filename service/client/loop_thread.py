"""An event loop in a thread of its own, for callers that have none."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class LoopThread:
    """Runs coroutines for any number of threads; it starts when it is made."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # A daemon: a client that nobody closed must not keep the process.
        self._thread = threading.Thread(target=self._loop.run_forever, name="focalpoint-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What the coroutine gives or raises; an interrupted caller (Ctrl-C) cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # without effect where it has ended by itself
            raise

    def stop(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancel what still runs, run one last coroutine, and end the thread."""
        asyncio.run_coroutine_threadsafe(_alone(last), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def abandon(self) -> None:
        """End the thread without waiting for it; without effect after `stop`."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)


async def _alone(last: Coroutine[Any, Any, None]) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await last
