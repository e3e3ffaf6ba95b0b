"""Dynamic batching, blind to its payload: batch while busy, never wait while idle, one outcome per item always.

A few threads run the batches, one at a time each. An item that arrives while one of them is idle starts at once, alone;
whatever arrives while all are busy forms the next batches, in equal parts. So there is no time window to tune, and
batches grow with the load by themselves.
One more thread watches them: a batch that does not come back is given up, and so is whatever waits behind it.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from service.batch_sizes import BatchSizes, Choice
from service.errors import DeadlineExceeded, InferenceFailed, NotReady, Overloaded

Item = TypeVar("Item")
Result = TypeVar("Result")
ReleaseReason = Literal["idle", "busy", "full", "drain"]
DropReason = Literal["deadline", "cancelled"]
BatcherCondition = Literal["working", "failing", "stuck", "dead", "closed"]

_FAILURES_IN_A_ROW = 3
_PROBE_SECONDS = 1.0

_logger = logging.getLogger(__name__)


class BatchObserver(Protocol):
    """Told of what happens: of drops from any thread, of the rest from the batcher's."""

    def on_wait(self, seconds: float) -> None:
        """An item left the queue for a batch after so long."""

    def on_drop(self, reason: DropReason) -> None:
        """An item left the queue for nothing: too late, or nobody waits for it any more."""

    def on_batch(self, size: int, padded_size: int, reason: ReleaseReason) -> None:
        """A batch starts: the thread was idle, or these came while it was busy, or it is full, or the last ones."""


class Ran(NamedTuple, Generic[Result]):
    """The result of an item, and how it came about."""

    result: Result
    queue_seconds: float
    batch_seconds: float
    batch_size: int


@dataclass(slots=True)
class _Entry(Generic[Item, Result]):
    item: Item
    deadline: float
    outcome: Future[Ran[Result]] = field(default_factory=Future)
    arrived: float = field(default_factory=time.perf_counter)


RunBatch = Callable[[list[Item], int], Sequence[Result | Exception]]


@dataclass(slots=True, eq=False)
class _Worker(Generic[Item, Result]):
    """One thread that runs batches, and what it is doing."""

    run_batch: RunBatch[Item, Result]
    thread: threading.Thread = field(init=False)
    running: list[_Entry[Item, Result]] = field(default_factory=list)
    busy_since: float = math.inf  # when a batch or a probe began
    was_busy: bool = False
    stuck: bool = False


class DynamicBatcher(Generic[Item, Result]):
    """Joins items from many callers into batches, first come, first served.

    Where a batch raises, its items are tried again one by one, so that a bad one fails alone. After three batches in a
    row without a success the condition is `failing` until one succeeds; while nobody sends any, `probe` tries.

    Args:
        runs: for each thread, what runs its batches: takes some items and the size to pad them to; returns for each, in
            order, its result or what is wrong with it.
        probe: raises while the model does not work; called from one of the threads.
        sizes: the sizes that a batch may have.
        max_queue: the most items that may wait.
        stuck_seconds: a batch that takes longer is given up, and the condition is `stuck` until it comes back.
        observer: told of waits, drops and batches.
    """

    def __init__(
        self,
        runs: Sequence[RunBatch[Item, Result]],
        probe: Callable[[], None],
        *,
        sizes: BatchSizes,
        max_queue: int,
        stuck_seconds: float,
        observer: BatchObserver,
    ) -> None:
        self._probe = probe
        self._sizes = sizes
        self._max_queue = max_queue
        self._stuck_seconds = stuck_seconds
        self._observer = observer
        self._changed = threading.Condition()
        self._waiting: deque[_Entry[Item, Result]] = deque()
        self._failures = 0
        self._closing = self._dead = False
        self._workers = [_Worker(run_batch) for run_batch in runs]
        for worker in self._workers:
            worker.thread = threading.Thread(target=self._work, args=(worker,), name="batcher", daemon=True)
        self._watchdog = threading.Thread(target=self._watch, name="batcher-watchdog", daemon=True)

    def start(self) -> None:
        """Start the threads; once."""
        for worker in self._workers:
            worker.thread.start()
        self._watchdog.start()

    @property
    def condition(self) -> BatcherCondition:
        """Whether an item that is submitted now is likely to be worked on."""
        if self._closing:
            return "closed"
        if self._dead or not all(worker.thread.is_alive() for worker in self._workers):
            return "dead"
        if any(worker.stuck for worker in self._workers):
            return "stuck"
        return "failing" if self._failures >= _FAILURES_IN_A_ROW else "working"

    @property
    def depth(self) -> int:
        """How many items wait that somebody still wants."""
        with self._changed:
            return sum(not entry.outcome.cancelled() for entry in self._waiting)

    def expected_wait_seconds(self) -> float:
        """How long the queue as it stands will take, by what batches took so far."""
        with self._changed:
            return self._expected_wait_seconds()

    def _expected_wait_seconds(self) -> float:
        batches = [len(self._waiting), *(len(worker.running) for worker in self._workers)]
        return sum(map(self._sizes.seconds_for, batches)) / len(self._workers)

    def submit(self, items: Iterable[Item], deadline: float = math.inf) -> list[Future[Ran[Result]]]:
        """Queue the items, all of them or none, and return their outcomes. Cancel an outcome to drop its item.

        Args:
            items: any number.
            deadline: by `time.perf_counter`; what has not started by then ends in `DeadlineExceeded`.

        Raises:
            Overloaded: there is no room for all of them.
            NotReady: the batcher is closed, its thread has died, or a batch does not come back.
        """
        entries = [_Entry[Item, Result](item, deadline) for item in items]
        with self._changed:
            condition = self.condition
            if condition not in ("working", "failing"):
                raise NotReady(_WHY_NOT[condition])
            if len(self._waiting) + len(entries) > self._max_queue:
                self._drop_what_is_late()
            if len(self._waiting) + len(entries) > self._max_queue:
                raise Overloaded(
                    f"{len(self._waiting)} crops wait and {self._max_queue} may",
                    self._expected_wait_seconds(),
                    "crops",
                )
            self._waiting.extend(entries)
            self._changed.notify(len(entries))
        return [entry.outcome for entry in entries]

    def close(self, drain_seconds: float) -> None:
        """Take nothing new, finish what waits, and fail with `NotReady` what is not done after `drain_seconds`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        give_up_at = time.perf_counter() + drain_seconds
        for worker in self._workers:
            if worker.thread.ident is not None:
                worker.thread.join(0 if worker.stuck else max(0.0, give_up_at - time.perf_counter()))
        _fail(self._claim(*self._workers), _WHY_NOT["closed"])

    def _work(self, worker: _Worker[Item, Result]) -> None:
        done = False
        try:
            while choice := self._next_batch(worker):
                self._run(worker, *choice)
            done = True
        except Exception:
            # The boundary of the thread. What gets here is no failure of the model but a bug around it.
            _logger.exception("the batcher has died")
        finally:
            if not done:
                self._dead = True
                _fail(self._claim(worker), _WHY_NOT["closed" if self._closing else "dead"])

    def _next_batch(self, worker: _Worker[Item, Result]) -> tuple[Choice, ReleaseReason] | None:
        """Wait for items that somebody waits for and make them the running batch; None when closed and empty."""
        with self._changed:
            while True:
                self._drop_what_is_late()
                if self._waiting:
                    break
                if self._closing:
                    return None
                worker.was_busy = False
                failing = self._failures >= _FAILURES_IN_A_ROW
                if not self._changed.wait(_PROBE_SECONDS if failing else None) and failing:
                    self._try_probe(worker)
            # What waits is shared with the threads that have nothing to do, of which this is one.
            idle = sum(math.isinf(other.busy_since) for other in self._workers)
            choice = self._sizes.choose(-(-len(self._waiting) // idle))
            taken = [self._waiting.popleft() for _ in range(choice.items)]
            worker.running = [entry for entry in taken if entry.outcome.set_running_or_notify_cancel()]
            worker.busy_since = time.perf_counter()
            reason = self._release_reason(worker, choice.items)
            worker.was_busy = True
            return choice, reason

    def _drop_what_is_late(self) -> None:
        now = time.perf_counter()
        kept: deque[_Entry[Item, Result]] = deque()
        for entry in self._waiting:
            if entry.outcome.cancelled():
                self._observer.on_drop("cancelled")
            elif entry.deadline <= now:
                if entry.outcome.set_running_or_notify_cancel():
                    entry.outcome.set_exception(DeadlineExceeded("the deadline passed while a crop waited"))
                self._observer.on_drop("deadline")
            else:
                kept.append(entry)
        self._waiting = kept

    def _release_reason(self, worker: _Worker[Item, Result], size: int) -> ReleaseReason:
        if size == self._sizes.largest:
            return "full"
        if self._closing:
            return "drain"
        return "busy" if worker.was_busy else "idle"

    def _run(self, worker: _Worker[Item, Result], choice: Choice, reason: ReleaseReason) -> None:
        batch, started = list(worker.running), worker.busy_since
        if not batch:  # every one of them was cancelled in the last moment
            self._is_back(worker)
            return
        for entry in batch:
            self._observer.on_wait(started - entry.arrived)
        self._observer.on_batch(len(batch), choice.padded, reason)
        results = self._attempt(worker.run_batch, [entry.item for entry in batch], choice.padded)
        seconds = time.perf_counter() - started
        worked = any(not isinstance(result, Exception) for result in results)
        with self._changed:
            if worked and not worker.stuck:
                self._sizes.measured(choice.padded, seconds)
            self._failures = 0 if worked else self._failures + 1
            claimed, worker.running = worker.running, []
            self._is_back(worker)
        # Not strict: nothing is left to claim where the watchdog or close() has given up on this batch.
        for entry, result in zip(claimed, results, strict=False):
            if isinstance(result, Exception):
                entry.outcome.set_exception(result)
            else:
                entry.outcome.set_result(Ran(result, started - entry.arrived, seconds, len(batch)))

    def _attempt(
        self, run_batch: RunBatch[Item, Result], items: list[Item], padded: int
    ) -> Sequence[Result | Exception]:
        try:
            results = run_batch(items, padded)
            if len(results) != len(items):
                raise RuntimeError(f"{len(results)} results for a batch of {len(items)}: this is a bug")
        except Exception:
            # The boundary: whatever the model raises belongs to those who wait for this batch, and the next may work.
            _logger.exception("a batch of %d failed", len(items))
            if len(items) > 1:
                return [self._attempt(run_batch, [item], 1)[0] for item in items]
            return [InferenceFailed("the model failed; the server's log says how")]
        return results

    def _try_probe(self, worker: _Worker[Item, Result]) -> None:
        """Called with the lock held, which is let go meanwhile: submitting must not wait for a model that fails."""
        worker.busy_since = time.perf_counter()
        self._changed.release()
        try:
            self._probe()
        except Exception as error:  # noqa: BLE001 - as in _attempt
            _logger.warning("the model still fails: %s", error)
        else:
            _logger.info("the model works again")
            self._failures = 0
        finally:
            self._changed.acquire()
            self._is_back(worker)

    def _is_back(self, worker: _Worker[Item, Result]) -> None:
        """The model has come back from a batch or a probe; called with the lock held, or with nothing at stake."""
        if worker.stuck:
            _logger.warning("the model has come back after %.1f s", time.perf_counter() - worker.busy_since)
        worker.stuck = False
        worker.busy_since = math.inf

    def _watch(self) -> None:
        """Give up on a batch, or a probe, that does not come back."""
        while alive := [worker for worker in self._workers if worker.thread.is_alive()]:
            alive[0].thread.join(min(self._stuck_seconds / 4, 1.0))
            for worker in alive:
                with self._changed:
                    if worker.stuck or time.perf_counter() - worker.busy_since <= self._stuck_seconds:
                        continue
                    worker.stuck = True
                    given_up = self._claim(worker)
                _logger.error("the model has not come back after %.1f s: what waits is given up", self._stuck_seconds)
                _fail(given_up, _WHY_NOT["stuck"])

    def _claim(self, *workers: _Worker[Item, Result]) -> list[_Entry[Item, Result]]:
        """Take what waits and what these threads run; whoever takes it delivers its outcome, so that each has one."""
        with self._changed:
            claimed = [entry for entry in self._waiting if entry.outcome.set_running_or_notify_cancel()]
            self._waiting.clear()
            for worker in workers:
                claimed += worker.running
                worker.running = []
            return claimed


def _fail(entries: Iterable[_Entry[Item, Result]], why: str) -> None:
    for entry in entries:
        entry.outcome.set_exception(NotReady(why))


_WHY_NOT: dict[BatcherCondition, str] = {
    "stuck": "the model does not come back from a batch",
    "dead": "the model has died",
    "closed": "the server is stopping",
}
