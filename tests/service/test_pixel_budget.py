"""The bound on pixels in memory: never exceeded, first come first served, and nobody is forgotten."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from service.pixel_budget import PixelBudget

PIXELS = 100


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, PIXELS), min_size=1, max_size=30),
    cancelled=st.sets(st.integers(0, 29)),
    seed=st.integers(0, 2**16),
)
def test_the_budget_holds_whoever_is_cancelled_whenever(sizes: list[int], cancelled: set[int], seed: int) -> None:
    chance = random.Random(seed)
    held, most, order = 0, 0, []

    async def hold(budget: PixelBudget, index: int, pixels: int) -> None:
        nonlocal held, most
        async with budget.hold(pixels):
            order.append(index)
            held += pixels
            most = max(most, held)
            try:
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                held -= pixels

    async def run() -> None:
        budget = PixelBudget(PIXELS)
        tasks = [asyncio.create_task(hold(budget, index, pixels)) for index, pixels in enumerate(sizes)]
        for index in sorted(cancelled & set(range(len(tasks)))):
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            tasks[index].cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        async with asyncio.timeout(1), budget.hold(PIXELS):  # all of it has come back
            pass

    asyncio.run(run())
    assert most <= PIXELS
    assert order == sorted(order)
