"""The bound on what all hold together: never exceeded, in order, and nobody is forgotten."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from service.ordered_budget import OrderedBudget

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

    async def hold(budget: OrderedBudget, index: int, pixels: int) -> None:
        nonlocal held, most
        async with budget.hold(pixels, index):
            order.append(index)
            held += pixels
            most = max(most, held)
            try:
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                held -= pixels

    async def run() -> None:
        budget = OrderedBudget(PIXELS)
        tasks = [asyncio.create_task(hold(budget, index, pixels)) for index, pixels in enumerate(sizes)]
        for index in sorted(cancelled & set(range(len(tasks)))):
            for _ in range(chance.randrange(3)):
                await asyncio.sleep(0)
            tasks[index].cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
        async with asyncio.timeout(1), budget.hold(PIXELS, 0):  # all of it has come back
            pass

    asyncio.run(run())
    assert most <= PIXELS
    assert order == sorted(order)


def test_the_order_decides_and_not_who_came_first() -> None:
    order = []

    async def hold(budget: OrderedBudget, amount: int, place: float) -> None:
        async with budget.hold(amount, place):
            order.append(place)
            await asyncio.sleep(0)

    async def run() -> None:
        budget = OrderedBudget(PIXELS)
        async with budget.hold(PIXELS, 0):
            tasks = [asyncio.create_task(hold(budget, amount, place)) for amount, place in ((90, 3), (90, 1), (5, 2))]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert order == [1, 2, 3]
