"""Properties of the batcher, with payloads that have nothing to do with images."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.dynamic_batching import DynamicBatcher
from service.errors import InferenceFailed, NotReady, Overloaded

SECONDS = 10


@dataclass
class Recorder:
    """Notes what the batcher tells; may be made to fail."""

    waits: list[float] = field(default_factory=list)
    batches: list[tuple[int, float, str]] = field(default_factory=list)
    failure: Exception | None = None

    def on_wait(self, seconds: float) -> None:
        """Note a wait."""
        self.waits.append(seconds)

    def on_batch(self, size: int, fill_ratio: float, reason: str) -> None:
        """Note a batch."""
        if self.failure:
            raise self.failure
        self.batches.append((size, fill_ratio, reason))


class Gate:
    """A `run_batch` that doubles numbers once it is let through; `entered` counts the batches that have begun."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.seen: list[list[int]] = []

    def __call__(self, items: list[int]) -> list[int]:
        """Double every item."""
        self.seen.append(items)
        self.entered.release()
        assert self.open.wait(SECONDS)
        return [2 * item for item in items]


def started(
    run_batch: Callable[[list[int]], Sequence[int]],
    recorder: Recorder | None = None,
    max_batch: int = 4,
    max_queue: int = 100,
) -> DynamicBatcher[int, int]:
    batcher = DynamicBatcher(run_batch, max_batch=max_batch, max_queue=max_queue, observer=recorder or Recorder())
    batcher.start()
    return batcher


@settings(max_examples=30, deadline=None)
@given(
    groups=st.lists(st.lists(st.integers(), max_size=7), max_size=30),
    callers=st.integers(1, 6),
    max_batch=st.integers(1, 9),
)
def test_every_item_gets_its_own_result(groups: list[list[int]], callers: int, max_batch: int) -> None:
    recorder = Recorder()
    batcher = started(lambda items: [2 * item for item in items], recorder, max_batch, max_queue=1000)

    def ask(group: list[int]) -> list[int]:
        return [outcome.result(SECONDS) for outcome in batcher.submit(group)]

    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(ask, groups))
    batcher.close(SECONDS)
    assert answers == [[2 * item for item in group] for group in groups]
    assert sum(size for size, _, _ in recorder.batches) == sum(map(len, groups)) == len(recorder.waits)
    assert all(size <= max_batch and ratio == size / max_batch for size, ratio, _ in recorder.batches)


@settings(max_examples=30, deadline=None)
@given(actions=st.lists(st.sampled_from(["keep", "cancel", "fail", "short"]), min_size=1, max_size=40))
def test_every_item_has_exactly_one_outcome_whatever_happens(actions: list[str]) -> None:
    def run_batch(items: list[str]) -> list[str]:
        if "fail" in items:
            raise ValueError("asked to")
        return items[1:] if "short" in items else items

    batcher = DynamicBatcher[str, str](run_batch, max_batch=3, max_queue=100, observer=Recorder())
    batcher.start()
    outcomes: list[Future[str]] = []
    for action in actions:
        [outcome] = batcher.submit([action])
        outcomes.append(outcome)
        if action == "cancel":
            outcome.cancel()
    batcher.close(SECONDS)
    assert all(outcome.done() for outcome in outcomes)
    for action, outcome in zip(actions, outcomes, strict=True):
        if not outcome.cancelled() and outcome.exception() is None:
            assert outcome.result() == action


def test_an_idle_batcher_starts_at_once_and_a_busy_one_collects() -> None:
    gate, recorder = Gate(), Recorder()
    batcher = started(gate, recorder, max_batch=3)
    batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    later = batcher.submit([2, 3, 4, 5])
    assert batcher.depth == 4
    gate.open.set()
    assert [outcome.result(SECONDS) for outcome in later] == [4, 6, 8, 10]
    batcher.close(SECONDS)
    assert gate.seen == [[1], [2, 3, 4], [5]]
    assert [reason for _, _, reason in recorder.batches][:2] == ["idle", "full"]


def test_what_nobody_waits_for_is_dropped() -> None:
    gate = Gate()
    batcher = started(gate)
    batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    dropped, kept = batcher.submit([2, 3])
    assert dropped.cancel()
    gate.open.set()
    assert kept.result(SECONDS) == 6
    batcher.close(SECONDS)
    assert gate.seen == [[1], [3]]


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
    batcher = started(gate, max_batch=2)
    gate.open.set()
    batcher.submit([1])[0].result(SECONDS)
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


@pytest.mark.parametrize("answer", [[], [1, 2, 3]])
def test_an_answer_of_the_wrong_length_fails_the_batch_and_not_the_next(
    answer: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    answers = [answer, [7]]
    batcher = started(lambda _: answers.pop(0))
    [outcome] = batcher.submit([1])
    assert isinstance(outcome.exception(SECONDS), InferenceFailed)
    assert "this is a bug" in caplog.text
    assert batcher.submit([1])[0].result(SECONDS) == 7
    batcher.close(SECONDS)


def test_close_finishes_what_waits() -> None:
    gate, recorder = Gate(), Recorder()
    batcher = started(gate, recorder)
    first = batcher.submit([1])
    assert gate.entered.acquire(timeout=SECONDS)
    rest = batcher.submit([2, 3])
    closing = threading.Thread(target=batcher.close, args=(SECONDS,))
    closing.start()
    while batcher.alive:
        pass
    with pytest.raises(NotReady):
        batcher.submit([4])
    gate.open.set()
    closing.join(SECONDS)
    assert [outcome.result(0) for outcome in first + rest] == [2, 4, 6]
    assert recorder.batches[-1][2] == "drain"


def test_close_gives_up_on_a_batch_that_hangs() -> None:
    gate = Gate()
    batcher = started(gate)
    outcomes = batcher.submit([1, 2, 3, 4, 5])
    assert gate.entered.acquire(timeout=SECONDS)
    batcher.close(drain_seconds=0.01)
    assert all(isinstance(outcome.exception(0), NotReady) for outcome in outcomes)
    gate.open.set()  # its late answer finds nobody, and nothing breaks


def test_close_before_start_does_nothing() -> None:
    batcher = DynamicBatcher[int, int](lambda items: items, max_batch=1, max_queue=1, observer=Recorder())
    batcher.close(SECONDS)
    assert not batcher.alive


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_fails_everybody_and_is_not_alive() -> None:
    recorder = Recorder(failure=RuntimeError("a bug in the observer"))
    batcher = DynamicBatcher[int, int](lambda items: items, max_batch=2, max_queue=9, observer=recorder)
    batcher.start()
    outcomes = batcher.submit([1, 2, 3])
    assert all(isinstance(outcome.exception(SECONDS), NotReady) for outcome in outcomes)
    assert not batcher.alive
    with pytest.raises(NotReady):
        batcher.submit([4])
    batcher.close(SECONDS)
