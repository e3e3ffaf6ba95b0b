"""Properties of the batcher, with payloads that have nothing to do with images."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.batch_sizes import BatchSizes, powers_of_two
from service.dynamic_batching import DynamicBatcher, Ran
from service.errors import DeadlineExceeded, InferenceFailed, NotReady, Overloaded
from service.ordered_threads import OrderedThreads
from tests.service.batchers import SECONDS, Gate, Recorder, condition, create, double, results, started


@settings(max_examples=30, deadline=None)
@given(
    groups=st.lists(st.lists(st.integers(), max_size=7), max_size=30),
    callers=st.integers(1, 6),
    max_batch=st.integers(1, 9),
    at_once=st.integers(1, 3),
)
def test_every_item_gets_its_own_result(groups: list[list[int]], callers: int, max_batch: int, at_once: int) -> None:
    recorder = Recorder()
    batcher = started(double, recorder, powers_of_two(max_batch), max_queue=1000, at_once=at_once)
    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(lambda group: results(batcher.submit(group)), groups))
    batcher.close(SECONDS)
    assert answers == [[2 * item for item in group] for group in groups]
    assert sum(size for size, _, _ in recorder.batches) == sum(map(len, groups)) == len(recorder.waits)
    assert all(size <= padded <= max_batch for size, padded, _ in recorder.batches)
    assert {padded for _, padded, _ in recorder.batches} <= set(powers_of_two(max_batch))


class SlowModel:
    """A `run_batch` that takes `seconds(padded)` by a clock of its own and notes what it saw, in order."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        self.seconds = seconds
        self.seen: list[int] = []

    def __call__(self, items: list[int], padded: int) -> list[int]:
        """Sleep as long as the model takes, then answer with the items."""
        assert len(items) <= padded
        time.sleep(self.seconds(padded))
        self.seen += items
        return items


@settings(max_examples=25, deadline=None)
@given(
    base=st.floats(0, 0.002),
    per_item=st.floats(0, 0.0005),
    cancelled=st.sets(st.integers(0, 59)),
    late=st.sets(st.integers(0, 59)),
    max_batch=st.sampled_from([1, 3, 8]),
)
def test_whatever_a_batch_takes_nothing_is_lost_doubled_crossed_or_out_of_order(
    base: float, per_item: float, cancelled: set[int], late: set[int], max_batch: int
) -> None:
    model, recorder = SlowModel(lambda padded: base + per_item * padded), Recorder()
    batcher = started(model, recorder, powers_of_two(max_batch))
    outcomes: list[Future[Ran[int]]] = []
    dropped = set()
    for item in range(60):
        deadline = time.perf_counter() - 1 if item in late else math.inf
        outcomes += batcher.submit([item], deadline)
        if item in cancelled and outcomes[-1].cancel():
            dropped.add(item)
    batcher.close(SECONDS)  # drains
    for item, outcome in enumerate(outcomes):
        if item in dropped:
            assert outcome.cancelled()
        elif item in late:
            assert isinstance(outcome.exception(SECONDS), DeadlineExceeded)
        else:
            assert outcome.result(SECONDS).result == item
    assert model.seen == [
        item for item in range(60) if item not in dropped | late
    ]  # once each, first come first served
    # A cancelled item that the batch had already taken is not told as dropped; it is not run either.
    assert len(recorder.drops) + sum(size for size, _, _ in recorder.batches) <= 60


@settings(max_examples=30, deadline=None)
@given(actions=st.lists(st.sampled_from(["keep", "cancel", "fail", "short"]), min_size=1, max_size=40))
def test_every_item_has_exactly_one_outcome_whatever_happens(actions: list[str]) -> None:
    def run_batch(items: list[str], _: int) -> list[str]:
        if "fail" in items:
            raise ValueError("asked to")
        return items[1:] if "short" in items else items

    batcher = started(run_batch, sizes=(1, 2, 3))
    outcomes: list[Future[Ran[str]]] = []
    for action in actions:
        [outcome] = batcher.submit([action])
        outcomes.append(outcome)
        if action == "cancel":
            outcome.cancel()
    batcher.close(SECONDS)
    for action, outcome in zip(actions, outcomes, strict=True):
        if outcome.cancelled():
            assert action == "cancel"
        elif action in ("fail", "short"):
            assert isinstance(outcome.exception(0), InferenceFailed)
        else:
            assert outcome.result(0).result == action  # a bad neighbour does it no harm


def test_an_idle_batcher_starts_at_once_and_a_busy_one_collects() -> None:
    gate, recorder = Gate(), Recorder()
    batcher = started(gate, recorder, sizes=(1, 2, 3))
    batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    later = batcher.submit([2, 3, 4, 5])
    assert batcher.depth == 4
    gate.open.set()
    assert results(later) == [4, 6, 8, 10]
    batcher.close(SECONDS)
    assert gate.seen == [[1], [2, 3, 4], [5]]
    assert recorder.batches == [(1, 1, "idle"), (3, 3, "full"), (1, 1, "busy")]


def test_a_result_comes_with_its_times_and_its_batch() -> None:
    gate = Gate()
    batcher = started(gate)
    [first] = batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    [second, third] = batcher.submit([2, 3])
    time.sleep(0.02)
    gate.open.set()
    assert first.result(SECONDS).queue_seconds < first.result(SECONDS).batch_seconds
    assert second.result(SECONDS).queue_seconds > 0.02 > second.result(SECONDS).batch_seconds
    assert (first.result().batch_size, third.result(SECONDS).batch_size) == (1, 2)
    batcher.close(SECONDS)


def test_what_nobody_waits_for_is_dropped() -> None:
    gate, recorder = Gate(), Recorder()
    batcher = started(gate, recorder)
    batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    dropped, kept = batcher.submit([2, 3])
    assert dropped.cancel()
    gate.open.set()
    assert results([kept]) == [6]
    batcher.close(SECONDS)
    assert gate.seen == [[1], [3]]
    assert recorder.drops == ["cancelled"]


def test_what_comes_too_late_is_dropped_when_the_batch_forms() -> None:
    gate, recorder = Gate(), Recorder()
    batcher = started(gate, recorder)
    batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    [late] = batcher.submit([2], deadline=time.perf_counter() + 0.01)
    [kept] = batcher.submit([3], deadline=time.perf_counter() + SECONDS)
    time.sleep(0.02)
    gate.open.set()
    assert results([kept]) == [6]
    assert isinstance(late.exception(SECONDS), DeadlineExceeded)
    batcher.close(SECONDS)
    assert gate.seen == [[1], [3]]
    assert recorder.drops == ["deadline"]


def test_a_full_queue_takes_all_of_a_group_or_nothing() -> None:
    gate = Gate()
    batcher = started(gate, max_queue=3)
    batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    batcher.submit([2, 3])
    with pytest.raises(Overloaded, match="2 crops wait and 3 may"):
        batcher.submit([4, 5])
    assert batcher.depth == 2
    gate.open.set()
    batcher.close(SECONDS)


def test_expected_wait_follows_the_queue_and_the_recent_batches() -> None:
    gate = Gate()
    batcher = started(gate, sizes=(1, 2))
    gate.open.set()
    results(batcher.submit([1]))
    gate.open.clear()
    batcher.submit([2])
    assert gate.entered.acquire(timeout=SECONDS)
    assert gate.entered.acquire(timeout=SECONDS)
    one_batch = batcher.expected_wait_seconds()
    assert one_batch > 0
    batcher.submit([3, 4, 5])
    assert batcher.expected_wait_seconds() == pytest.approx(3 * one_batch)
    gate.open.set()
    batcher.close(SECONDS)


def test_close_finishes_what_waits() -> None:
    gate, recorder = Gate(), Recorder()
    batcher = started(gate, recorder)
    first = batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    rest = batcher.submit([2, 3])
    closing = threading.Thread(target=batcher.close, args=(SECONDS,))
    closing.start()
    while condition(batcher) != "closed":
        pass
    with pytest.raises(NotReady, match="stopping"):
        batcher.submit([4])
    gate.open.set()
    closing.join(SECONDS)
    assert results(first + rest) == [2, 4, 6]
    assert recorder.batches[-1] == (2, 2, "drain")


def test_close_before_start_does_nothing() -> None:
    batcher = create(double)
    batcher.close(SECONDS)
    assert condition(batcher) == "closed"


def test_what_was_cancelled_takes_no_room() -> None:
    gate = Gate()
    batcher = started(gate, max_queue=2)
    batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    for outcome in batcher.submit([2, 3]):
        outcome.cancel()
    assert batcher.depth == 0
    [kept] = batcher.submit([4])
    gate.open.set()
    assert results([kept]) == [8]
    batcher.close(SECONDS)


def test_as_many_batches_run_at_once_as_there_are_places_and_share_what_waits() -> None:
    gate, recorder = Gate(), Recorder()
    batcher = started(gate, recorder, at_once=2)
    outcomes = batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    outcomes += batcher.submit([2])
    assert gate.entered.acquire(timeout=SECONDS)  # beside the first, which has not come back
    outcomes += batcher.submit([3, 4, 5])
    assert not gate.entered.acquire(timeout=0.05)
    gate.open.set()
    assert results(outcomes) == [2, 4, 6, 8, 10]
    assert {size for size, _, _ in recorder.batches} <= {1, 2, 3}
    batcher.close(SECONDS)


def test_places_that_begin_together_take_equal_parts() -> None:
    gate = Gate()
    batcher = started(gate, at_once=2)
    outcomes = batcher.submit([1, 2, 3, 4])
    for _ in range(2):
        assert gate.entered.acquire(timeout=SECONDS)
    assert sorted(gate.seen) == [[1, 2], [3, 4]]
    gate.open.set()
    assert results(outcomes) == [2, 4, 6, 8]
    batcher.close(SECONDS)


def test_a_stuck_batch_is_given_up_and_when_it_is_back_both_places_work() -> None:
    gates = {1: Gate(), 2: Gate()}

    def run(items: list[int], padded: int) -> list[int]:
        return gates[items[0]](items, padded)

    batcher = started(run, at_once=2, stuck_seconds=0.2)
    (stuck,) = batcher.submit([1])
    assert gates[1].entered.acquire(timeout=SECONDS)
    with pytest.raises(NotReady, match="does not come back"):
        stuck.result(SECONDS)
    assert condition(batcher) == "stuck"
    gates[1].open.set()
    while condition(batcher) != "working":
        time.sleep(0.005)
    (slow,), (fast,) = batcher.submit([1]), batcher.submit([2])
    gates[2].open.set()
    assert (slow.result(SECONDS).result, fast.result(SECONDS).result) == (2, 4)
    batcher.close(SECONDS)


@pytest.mark.parametrize(("alone", "expected"), [(True, ["alone", "pair"]), (False, ["lone", "pair"])])
def test_a_lone_item_takes_the_way_of_its_own_where_nothing_else_is_to_be_done(
    alone: bool, expected: list[str]
) -> None:
    ways: list[str] = []

    def run(items: list[int], padded: int) -> list[int]:
        ways.append("pair" if len(items) == 2 else "lone")
        return double(items, padded)

    def run_alone(items: list[int], padded: int) -> list[int]:
        ways.append("alone")
        return double(items, padded)

    batcher = started(run, run_alone=run_alone, alone=alone)
    assert results(batcher.submit([1])) == [2]
    assert results(batcher.submit([2, 3])) == [4, 6]
    assert ways == expected
    batcher.close(SECONDS)


def test_a_pass_that_had_the_machine_to_itself_does_not_say_how_long_others_take() -> None:
    gate = Gate()
    batcher = started(gate, sizes=(1,), run_alone=gate)
    gate.open.set()
    results(batcher.submit([1]))
    gate.open.clear()
    batcher.submit([2, 3])
    for _ in range(2):
        assert gate.entered.acquire(timeout=SECONDS)
    assert batcher.expected_wait_seconds() == 0  # it knows no other
    gate.open.set()
    batcher.close(SECONDS)


def test_where_the_way_of_its_own_fails_an_item_takes_that_of_the_others() -> None:
    def fail(items: list[int], _: int) -> list[int]:
        raise RuntimeError(f"no memory for {items}")

    batcher = started(double, run_alone=fail)
    for item in range(5):
        assert results(batcher.submit([item])) == [2 * item]
    assert batcher.condition == "working"
    batcher.close(SECONDS)


def test_the_way_of_a_lone_item_has_one_at_a_time_whatever_the_threads_say() -> None:
    gate, other = Gate(), Gate()
    other.open.set()
    batcher = started(other, run_alone=gate, alone=True, at_once=2)
    first = batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    assert results(batcher.submit([2])) == [4]
    gate.open.set()
    assert results(first) == [2]
    assert results(batcher.submit([3])) == [6]  # it is free again
    assert (gate.seen, other.seen) == ([[1], [3]], [[2]])
    batcher.close(SECONDS)


def test_lone_items_of_real_threads_never_meet() -> None:
    """With threads that are replaced and come back all the while."""
    inside, entered, met = threading.Lock(), list[int](), list[int]()

    def run_alone(items: list[int], padded: int) -> list[int]:
        entered.extend(items)
        if not inside.acquire(blocking=False):
            met.extend(items)
            return double(items, padded)
        time.sleep(0.0005)
        inside.release()
        return double(items, padded)

    with OrderedThreads(3, put_off_seconds=0.0) as threads:
        batcher: DynamicBatcher[int, int] = DynamicBatcher(
            [double] * 3,
            lambda: None,
            threads,
            sizes=BatchSizes((1,)),
            max_queue=1000,
            stuck_seconds=SECONDS,
            observer=Recorder(),
            run_alone=run_alone,
        )
        batcher.start()
        for item in range(300):
            if item % 10 == 0:
                threads.replace_one()
                threads.one_is_back()
            outcomes = batcher.submit([item, item + 1][: 1 + item % 2])
            if item % 3:
                assert results(outcomes)[0] == 2 * item
        batcher.close(SECONDS)
    assert entered
    assert not met
