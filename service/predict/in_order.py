"""Many frames at a time, their rows in order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from service.predict.frames import Frame
from service.predict.rows import Row


async def rows_in_order(
    frames: Iterator[Frame], look: Callable[[Frame], Awaitable[Row]], in_flight: int, max_bytes: int
) -> AsyncGenerator[Row]:
    """The row of each frame, in the order of the frames.

    One thread reads, and stops reading while `in_flight` frames, or frames of `max_bytes`, wait for their rows: one of
    them at least is always looked at.

    Args:
        frames: read one after the other, in a thread of its own.
        look: makes the row of a frame; what it raises ends everything.
        in_flight: the most frames at a time; 1 is the plain loop.
        max_bytes: of all frames in flight together.
    """
    waiting: deque[tuple[asyncio.Future[Row], int]] = deque()
    held_bytes = 0
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="read") as reader:
        try:
            while (frame := await loop.run_in_executor(reader, next, frames, None)) is not None:
                waiting.append((asyncio.ensure_future(look(frame)), frame.bytes_in_memory))
                held_bytes += frame.bytes_in_memory
                del frame
                while waiting and (len(waiting) >= in_flight or held_bytes >= max_bytes or waiting[0][0].done()):
                    task, task_bytes = waiting[0]
                    row = await task
                    waiting.popleft()
                    held_bytes -= task_bytes
                    yield row
            while waiting:
                row = await waiting[0][0]
                waiting.popleft()
                yield row
        finally:
            for task, _ in waiting:
                task.cancel()
            await asyncio.gather(*(task for task, _ in waiting), return_exceptions=True)
