"""Frames at once, rows in order."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from service.predict.frames import Frame
from service.predict.in_order import rows_in_order
from service.predict.rows import Row

COUNT = 60


def frames(count: int) -> Iterator[Frame]:
    return (Frame("a", number, bytes(100)) for number in range(count))


@pytest.mark.parametrize(
    ("in_flight", "max_bytes", "at_once"), [(1, 10**9, 1), (2, 10**9, 2), (7, 10**9, 7), (7, 300, 3), (7, 1, 1)]
)
def test_rows_come_in_order_while_as_many_frames_as_may_are_looked_at(
    in_flight: int, max_bytes: int, at_once: int
) -> None:
    now = most = begun = 0
    luck = random.Random(0)

    async def look(frame: Frame) -> Row:
        nonlocal now, most, begun
        assert frame.number is not None
        now, begun = now + 1, begun + 1
        most = max(most, now)
        # It would wait for ever if fewer were looked at together.
        while begun < min(frame.number + at_once, COUNT):
            await asyncio.sleep(0)
        for _ in range(luck.randrange(20)):
            await asyncio.sleep(0)
        now -= 1
        return Row(frame.file, frame.number)

    async def run() -> list[int | None]:
        return [row.frame async for row in rows_in_order(frames(COUNT), look, in_flight, max_bytes)]

    assert asyncio.run(run()) == list(range(COUNT))
    assert most == at_once


def test_what_fails_ends_the_others() -> None:
    cancelled: list[int | None] = []
    others_begun = asyncio.Event()

    async def look(frame: Frame) -> Row:
        if frame.number == 4:
            others_begun.set()
        if frame.number == 2:
            await others_begun.wait()
            raise RuntimeError("no model")
        try:
            await asyncio.sleep(0 if frame.number in (0, 1) else 60)
        except asyncio.CancelledError:
            cancelled.append(frame.number)
            raise
        return Row(frame.file, frame.number)

    rows: list[int | None] = []

    async def run() -> None:
        async for row in rows_in_order(frames(9), look, 4, 10**9):
            rows.append(row.frame)

    with pytest.raises(RuntimeError, match="no model"):
        asyncio.run(run())
    assert rows == [0, 1]
    assert {3, 4} <= set(cancelled) <= {3, 4, 5}
