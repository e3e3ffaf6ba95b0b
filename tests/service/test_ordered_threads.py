"""Flows: each step in a thread, none while they wait, one outcome however they end."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from service.ordered_threads import Flow, OrderedThreads, Steps, Wait, single_step

SECONDS = 10
OTHERS = [(5.0, "last"), (2.0, "after"), (0.5, "before")]


@contextmanager
def started(threads: int = 1) -> Iterator[OrderedThreads]:
    pool = OrderedThreads(threads, "pool")
    pool.start()
    try:
        yield pool
    finally:
        pool.close()


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
    assert seen == ["pool_0", threading.current_thread().name if here else "pool_0", "end"]


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


def test_a_flow_that_is_cancelled_while_it_waits_drops_what_it_waits_for() -> None:
    first, second, seen = Future[int](), Future[int](), list[str]()
    with started() as pool:
        flow = pool.run(0.0, adding(first, second, seen))
        pool.run(1.0, single_step(lambda: None)).outcome.result(SECONDS)  # the first step is done
        flow.cancel()
        with pytest.raises(CancelledError):
            flow.outcome.result(SECONDS)
    assert first.cancelled()
    assert second.cancelled()
    assert seen == ["pool_0", "end"]


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


def test_closing_finishes_what_runs_and_drops_what_waits() -> None:
    waiting: Future[int] = Future()
    pool = OrderedThreads(1, "pool")
    pool.start()
    parked = pool.run(0.0, adding(waiting, Future(), []))
    occupied = Occupied(pool)
    queued = pool.run(1.0, single_step(lambda: "never"))
    closing = threading.Thread(target=pool.close)
    closing.start()
    with pytest.raises(CancelledError):
        queued.outcome.result(SECONDS)
    occupied.let_go.set()
    closing.join(SECONDS)
    assert occupied.flow.outcome.result(0) is None
    assert not parked.outcome.done()
    parked.cancel()  # whatever comes after the end is dropped, not lost
    with pytest.raises(CancelledError):
        parked.outcome.result(0)
