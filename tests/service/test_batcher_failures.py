"""Models that fail, hang and die: nobody waits for ever, and the batcher says how things stand."""

import threading
import time
from collections.abc import Callable

import pytest

from service.batch_sizes import BatchSizes
from service.dynamic_batching import DynamicBatcher
from service.errors import InferenceFailed, NotReady
from service.ordered_threads import OrderedThreads
from tests.service.batchers import SECONDS, Gate, Recorder, condition, double, results, started


@pytest.mark.parametrize("answer", [[], [1, 2, 3]])
def test_an_answer_of_the_wrong_length_fails_the_batch_and_not_the_next(
    answer: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    answers = [answer, [7]]
    batcher = started(lambda *_: answers.pop(0))
    [outcome] = batcher.submit([1])
    assert isinstance(outcome.exception(SECONDS), InferenceFailed)
    assert "this is a bug" in caplog.text
    assert results(batcher.submit([1])) == [7]
    batcher.close(SECONDS)


def test_close_gives_up_on_a_batch_that_hangs() -> None:
    gate = Gate()
    batcher = started(gate)
    outcomes = batcher.submit([1, 2, 3, 4, 5])
    assert gate.entered.acquire(timeout=SECONDS)
    batcher.close(drain_seconds=0.01)
    assert all(isinstance(outcome.exception(0), NotReady) for outcome in outcomes)
    gate.open.set()  # its late answer finds nobody, and nothing breaks


def test_a_batch_that_does_not_come_back_is_given_up_and_the_batcher_recovers_when_it_does() -> None:
    gate, recorder = Gate(), Recorder()
    batcher = started(gate, recorder, stuck_seconds=0.05)
    outcomes = batcher.submit([1, 2, 3, 4, 5])
    assert all(isinstance(outcome.exception(SECONDS), NotReady) for outcome in outcomes)
    assert condition(batcher) == "stuck"
    with pytest.raises(NotReady, match="does not come back"):
        batcher.submit([6])
    gate.open.set()
    while condition(batcher) != "working":
        time.sleep(0.001)
    assert results(batcher.submit([7])) == [14]
    batcher.close(SECONDS)
    assert gate.seen == [[1, 2, 3, 4], [7]]


def test_a_model_that_always_fails_is_told_so_and_probed_until_it_works(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    broken = threading.Event()
    broken.set()
    probes = []

    def run_batch(items: list[int], _: int) -> list[int]:
        if broken.is_set():
            raise ValueError("out of memory")
        return items

    def probe() -> None:
        probes.append(time.perf_counter())
        run_batch([0], 1)

    batcher = started(run_batch, probe=probe)
    for _ in range(3):
        assert condition(batcher) == "working"
        [outcome] = batcher.submit([1])
        assert isinstance(outcome.exception(SECONDS), InferenceFailed)
    while condition(batcher) != "failing":
        time.sleep(0.001)
    while "the model still fails: out of memory" not in caplog.text:
        time.sleep(0.01)
    assert probes
    broken.clear()
    while condition(batcher) != "working":
        time.sleep(0.01)
    assert "the model works again" in caplog.text
    assert results(batcher.submit([1])) == [1]
    batcher.close(SECONDS)


def test_a_probe_that_does_not_come_back_is_noticed() -> None:
    go_on, model_is_broken = threading.Event(), [True]

    def run_batch(items: list[int], _: int) -> list[int]:
        if model_is_broken:
            raise ValueError("broken")
        return items

    batcher = started(run_batch, probe=lambda: (go_on.wait(SECONDS), None)[1], stuck_seconds=0.1)
    for _ in range(3):
        assert isinstance(batcher.submit([1])[0].exception(SECONDS), InferenceFailed)
    while condition(batcher) != "failing":
        time.sleep(0.001)
    while condition(batcher) != "stuck":  # a second after the failure the probe begins
        time.sleep(0.01)
    with pytest.raises(NotReady, match="does not come back"):
        batcher.submit([1])
    model_is_broken.clear()
    go_on.set()
    while condition(batcher) != "working":
        time.sleep(0.001)
    assert results(batcher.submit([1])) == [1]
    batcher.close(SECONDS)


def test_a_thread_that_dies_fails_everybody_and_is_dead(caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(failure=RuntimeError("a bug in the observer"))
    batcher = started(double, recorder)
    outcomes = batcher.submit([1, 2, 3])
    assert all(isinstance(outcome.exception(SECONDS), NotReady) for outcome in outcomes)
    assert condition(batcher) == "dead"
    with pytest.raises(NotReady, match="has died"):
        batcher.submit([4])
    assert "a bug in the observer" in caplog.text
    batcher.close(SECONDS)


def of_pool(threads: OrderedThreads, run_batch: Callable[[list[int], int], list[int]]) -> DynamicBatcher[int, int]:
    batcher: DynamicBatcher[int, int] = DynamicBatcher(
        [run_batch],
        lambda: None,
        threads,
        sizes=BatchSizes((1, 2)),
        max_queue=10,
        stuck_seconds=SECONDS,
        observer=Recorder(),
    )
    batcher.start()
    return batcher


def test_a_model_that_hangs_does_not_keep_the_only_thread_from_another_one() -> None:
    gate = Gate()
    with OrderedThreads(1, put_off_seconds=0) as threads:
        hangs, works = of_pool(threads, gate), of_pool(threads, double)
        late = hangs.submit([1])
        assert gate.entered.acquire(timeout=SECONDS)
        assert results(works.submit([2])) == [4]
        assert condition(hangs) == "working"  # it may still come back
        hangs.close(drain_seconds=0)
        assert isinstance(late[0].exception(0), NotReady)
        gate.open.set()
        assert results(works.submit([3])) == [6]
        works.close(SECONDS)


def test_an_engine_that_ends_its_thread_takes_no_thread_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def die(items: list[int], _: int) -> list[int]:
        raise SystemExit("the driver is gone")

    with OrderedThreads(1, put_off_seconds=0) as threads:
        dies, works = of_pool(threads, die), of_pool(threads, double)
        assert isinstance(dies.submit([1])[0].exception(SECONDS), NotReady)
        assert condition(dies) == "dead"
        assert results(works.submit([2])) == [4]
        for batcher in (dies, works):
            batcher.close(SECONDS)
    assert "the driver is gone" in caplog.text
