"""Flows: each step in a thread, none while they wait, one outcome however they end."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest

from service.ordered_threads import Flow, OrderedThreads, Steps, Wait, single_step

SECONDS = 10
OTHERS = [(5.0, "last"), (2.0, "after"), (0.5, "before")]


@contextmanager
def started(threads: int = 1, put_off_seconds: float = SECONDS) -> Iterator[OrderedThreads]:
    with OrderedThreads(threads, put_off_seconds) as pool:
        yield pool


class Occupied:
    """A step that keeps its thread until it is told to let go."""

    def __init__(self, pool: OrderedThreads) -> None:
        self._entered, self.let_go = threading.Event(), threading.Event()
        self.flow: Flow[None] = pool.run(0.0, single_step(self._stay))
        assert self._entered.wait(SECONDS)

    def _stay(self) -> None:
        self._entered.set()
        assert self.let_go.wait(SECONDS)


def adding(first: Future[int], second: Future[int], seen: list[str], *, here: bool = False) -> Steps[int]:
    """Notes the threads that it runs in, and that it has ended."""
    try:
        seen.append(threading.current_thread().name)
        a, b = yield Wait([first, second], here=here)
        seen.append(threading.current_thread().name)
        return int(a + b)
    finally:
        seen.append("end")


@pytest.mark.parametrize("here", [False, True])
def test_a_flow_holds_no_thread_while_it_waits_and_goes_on_when_all_is_there(here: bool) -> None:
    first, second, seen = Future[int](), Future[int](), list[str]()
    with started() as pool:
        flow = pool.run(1.0, adding(first, second, seen, here=here))
        assert pool.run(2.0, single_step(lambda: "meanwhile")).outcome.result(SECONDS) == "meanwhile"
        second.set_result(2)
        assert not flow.outcome.done()
        first.set_result(1)
        assert flow.outcome.result(SECONDS) == 3
    assert seen == ["worker", threading.current_thread().name if here else "worker", "end"]


def test_the_least_place_in_the_order_comes_first_also_for_a_later_step() -> None:
    first, done = Future[int](), list[str]()

    def two_steps() -> Steps[None]:
        yield Wait([first])
        done.append("second step")

    with started() as pool:
        pool.run(1.0, two_steps())
        occupied = Occupied(pool)
        others = [pool.run(order, single_step(partial(done.append, name))) for order, name in OTHERS]
        first.set_result(0)
        occupied.let_go.set()
        for other in others:
            other.outcome.result(SECONDS)
    assert done == ["before", "second step", "after", "last"]


def test_an_exception_reaches_the_steps_and_what_they_raise_the_outcome() -> None:
    first, second, seen = Future[int](), Future[int](), list[str]()
    with started() as pool:
        flow = pool.run(0.0, adding(first, second, seen))
        first.set_result(1)
        second.set_exception(KeyError("second"))
        with pytest.raises(KeyError, match="second"):
            flow.outcome.result(SECONDS)
        failing = pool.run(0.0, single_step(partial(int, "none")))
        with pytest.raises(ValueError, match="none"):
            failing.outcome.result(SECONDS)
    assert seen[-1] == "end"


def test_a_flow_that_is_cancelled_while_it_waits_ends_at_once() -> None:
    first, second, seen = Future[int](), Future[int](), list[str]()
    second.set_running_or_notify_cancel()  # as one that the model has begun with
    with started() as pool:
        flow = pool.run(0.0, adding(first, second, seen))
        pool.run(1.0, single_step(lambda: None)).outcome.result(SECONDS)  # the first step is done
        flow.cancel()
        assert isinstance(flow.outcome.exception(0), CancelledError)
        second.set_result(2)  # finds nobody
    assert first.cancelled()
    assert seen == ["worker", "end"]


def test_a_flow_that_is_cancelled_before_its_turn_never_begins() -> None:
    seen: list[str] = []
    with started() as pool:
        occupied = Occupied(pool)
        flow = pool.run(1.0, adding(Future(), Future(), seen))
        flow.cancel()
        with pytest.raises(CancelledError):
            flow.outcome.result(0)
        occupied.let_go.set()
    assert seen == []


def test_a_flow_that_is_cancelled_while_it_runs_ends_with_that_step() -> None:
    first: Future[int] = Future()
    entered, go_on, seen = threading.Event(), threading.Event(), list[str]()

    def steps() -> Steps[None]:
        entered.set()
        assert go_on.wait(SECONDS)
        yield Wait([first])
        seen.append("second step")

    with started() as pool:
        flow: Flow[Any] = pool.run(0.0, steps())
        assert entered.wait(SECONDS)
        flow.cancel()
        assert not flow.outcome.done()
        go_on.set()
        with pytest.raises(CancelledError):
            flow.outcome.result(SECONDS)
    assert first.cancelled()
    assert seen == []


def test_the_end_finishes_what_runs_and_drops_what_waits() -> None:
    waiting: Future[int] = Future()
    joint = threading.Event()
    with started() as pool:
        parked = pool.run(0.0, adding(waiting, Future(), []))
        occupied = Occupied(pool)
        queued = pool.run(1.0, single_step(lambda: "never"))
        pool.run_jointly(joint.set)
        threading.Timer(0.05, occupied.let_go.set).start()
    assert isinstance(queued.outcome.exception(0), CancelledError)
    assert occupied.flow.outcome.result(0) is None
    assert joint.is_set()
    assert not parked.outcome.done()
    parked.cancel()  # whatever comes after the end is dropped, not lost
    assert isinstance(parked.outcome.exception(0), CancelledError)


@pytest.mark.parametrize(("put_off_seconds", "expected"), [(SECONDS, ["flow", "joint"]), (0.0, ["joint", "flow"])])
def test_joint_work_lets_flows_go_first_for_a_while(put_off_seconds: float, expected: list[str]) -> None:
    done: list[str] = []
    with started(put_off_seconds=put_off_seconds) as pool:
        occupied = Occupied(pool)
        pool.run_jointly(partial(done.append, "joint"))
        flow = pool.run(1.0, single_step(partial(done.append, "flow")))
        occupied.let_go.set()
        flow.outcome.result(SECONDS)
    assert done == expected


def test_everything_gets_done_by_however_many_threads_and_whoever_brings_it() -> None:
    """Each flow brings another one and joint work that it waits for, from within a thread."""
    for threads in (1, 2, 3):
        with started(threads) as pool:
            flows = [pool.run(float(order), branching(pool, order)) for order in range(50)]
            assert [flow.outcome.result(SECONDS) for flow in flows] == [2 * order + 1 for order in range(50)]


def branching(pool: OrderedThreads, order: int) -> Steps[int]:
    joint: Future[int] = Future()
    pool.run_jointly(partial(joint.set_result, order))
    inner = pool.run(order + 0.5, single_step(lambda: order + 1))
    a, b = yield Wait([joint, inner.outcome])
    return int(a + b)


def test_a_thread_that_does_not_come_back_is_replaced_until_it_does() -> None:
    with started() as pool:
        occupied = Occupied(pool)
        pool.replace_one()
        assert pool.run(1.0, single_step(lambda: "by another")).outcome.result(SECONDS) == "by another"
        occupied.let_go.set()
        pool.one_is_back()
        assert {pool.run(1.0, single_step(lambda: None)).outcome.result(SECONDS) for _ in range(3)} == {None}
        assert pool.run(1.0, single_step(lambda: "by the one left")).outcome.result(SECONDS) == "by the one left"


def test_who_works_knows_whether_anything_else_is_to_be_done() -> None:
    with started(2) as pool:

        def ask() -> bool:
            # The other thread may still be on its way to sleep.
            give_up = time.monotonic() + SECONDS
            while not (alone := pool.only_one_works()) and time.monotonic() < give_up:
                time.sleep(0.001)
            return alone

        assert pool.run(0.0, single_step(ask)).outcome.result(SECONDS)
        occupied = Occupied(pool)
        assert not pool.run(1.0, single_step(pool.only_one_works)).outcome.result(SECONDS)
        pool.replace_one()
        assert not pool.run(1.0, single_step(pool.only_one_works)).outcome.result(SECONDS)  # one does not come back
        occupied.let_go.set()
        pool.one_is_back()
        assert pool.run(1.0, single_step(ask)).outcome.result(SECONDS)


def test_nobody_is_alone_while_another_thread_is_being_replaced() -> None:
    with started(2) as pool:
        occupied, answers = Occupied(pool), list[bool]()

        class WatchedThread(threading.Thread):
            """Asks when it has started and nobody has noted that yet."""

            def start(self) -> None:
                super().start()
                answers.append(pool.run(1.0, single_step(pool.only_one_works)).outcome.result(SECONDS))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pool, "_thread", lambda: WatchedThread(target=pool._work, daemon=True))
            pool.replace_one()
        occupied.let_go.set()
    assert answers == [False]


class Picture:
    """Something large."""


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_flow_held_is_gone_with_it_and_not_when_the_collector_comes(fails: bool) -> None:
    async def ask(pool: OrderedThreads) -> "weakref.ref[Picture]":
        seen: list[weakref.ref[Picture]] = []

        def steps() -> Steps[None]:
            picture = Picture()
            seen.append(weakref.ref(picture))
            joint: Future[int] = Future()
            pool.run_jointly(partial(joint.set_result, 0))
            yield Wait([joint])
            if fails:
                raise KeyError("no such thing")

        with suppress(KeyError):
            await asyncio.wrap_future(pool.run(0.0, steps()).outcome)
        return seen[0]

    gc.disable()
    try:
        with started() as pool:
            assert asyncio.run(ask(pool))() is None
    finally:
        gc.enable()
