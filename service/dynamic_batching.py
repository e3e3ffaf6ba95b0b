"""Dynamic batching, blind to its payload: batch while busy, never wait while idle, one outcome per item always.

One thread runs the batches. An item that arrives while the thread is idle starts at once, alone; whatever arrives while
a batch runs forms the next one. So there is no time window to tune, and batches grow with the load by themselves.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from service.errors import InferenceFailed, NotReady, Overloaded

Item = TypeVar("Item")
Result = TypeVar("Result")
ReleaseReason = Literal["full", "idle", "drain"]

_logger = logging.getLogger(__name__)


class BatchObserver(Protocol):
    """Told of what happens, from the batcher's thread."""

    def on_wait(self, seconds: float) -> None:
        """An item left the queue after so long."""

    def on_batch(self, size: int, fill_ratio: float, reason: ReleaseReason) -> None:
        """A batch starts: full, or all that had come when the thread was idle, or the rest at the end."""


@dataclass(slots=True)
class _Entry(Generic[Item, Result]):
    item: Item
    outcome: Future[Result] = field(default_factory=Future)
    arrived: float = field(default_factory=time.perf_counter)


class DynamicBatcher(Generic[Item, Result]):
    """Joins items from many callers into batches for `run_batch`.

    Args:
        run_batch: takes up to `max_batch` items, returns one result for each, in order; runs in the batcher's thread.
        max_batch: the largest batch.
        max_queue: the most items that may wait.
        observer: told of waits and batches.
    """

    def __init__(
        self,
        run_batch: Callable[[list[Item]], Sequence[Result]],
        *,
        max_batch: int,
        max_queue: int,
        observer: BatchObserver,
    ) -> None:
        self._run_batch = run_batch
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._observer = observer
        self._changed = threading.Condition()
        self._waiting: deque[_Entry[Item, Result]] = deque()
        self._running: list[_Entry[Item, Result]] = []
        self._closing = False
        self._batch_seconds = 0.0
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)

    def start(self) -> None:
        """Start the thread; once."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether an item that is submitted now would be worked on."""
        return self._thread.is_alive() and not self._closing

    @property
    def depth(self) -> int:
        """How many items wait."""
        return len(self._waiting)

    def expected_wait_seconds(self) -> float:
        """How long the queue as it stands will take, by the recent batches."""
        batches = -(-len(self._waiting) // self._max_batch) + bool(self._running)
        return batches * self._batch_seconds

    def submit(self, items: Iterable[Item]) -> list[Future[Result]]:
        """Queue the items, all of them or none, and return their outcomes. Cancel an outcome to drop its item.

        Raises:
            Overloaded: there is no room for all of them.
            NotReady: the batcher is closed or its thread has died.
        """
        entries = [_Entry[Item, Result](item) for item in items]
        with self._changed:
            if not self.alive:
                raise NotReady("the server is stopping or its model has died")
            if len(self._waiting) + len(entries) > self._max_queue:
                raise Overloaded(
                    f"{len(self._waiting)} crops wait and {self._max_queue} may", self.expected_wait_seconds()
                )
            self._waiting.extend(entries)
            self._changed.notify()
        return [entry.outcome for entry in entries]

    def close(self, drain_seconds: float) -> None:
        """Take nothing new, finish what waits, and fail with `NotReady` what is not done after `drain_seconds`."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(drain_seconds)
        self._fail_all("the server has stopped")

    def _work(self) -> None:
        try:
            while self._next_batch():
                self._run()
        finally:
            # Reached at the end of a drain with nothing left, or by an exception, which the threading module reports.
            with self._changed:
                self._closing = True
            self._fail_all("the model has died")

    def _next_batch(self) -> bool:
        """Wait for items nobody has cancelled and make them the running batch; False when closed and empty."""
        with self._changed:
            while not self._running:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return False
                while self._waiting and len(self._running) < self._max_batch:
                    entry = self._waiting.popleft()
                    if entry.outcome.set_running_or_notify_cancel():
                        self._running.append(entry)
        return True

    def _run(self) -> None:
        batch = list(self._running)
        started = time.perf_counter()
        for entry in batch:
            self._observer.on_wait(started - entry.arrived)
        self._observer.on_batch(len(batch), len(batch) / self._max_batch, self._release_reason(len(batch)))
        try:
            results = self._run_batch([entry.item for entry in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{len(results)} results for a batch of {len(batch)}: this is a bug")
        except Exception:
            # The boundary: whatever the model raises belongs to those who wait for this batch, and the next may work.
            _logger.exception("a batch of %d failed", len(batch))
            for entry in self._claim_running():
                entry.outcome.set_exception(
                    InferenceFailed("the model failed on this batch; the server's log says how")
                )
            return
        seconds = time.perf_counter() - started
        self._batch_seconds = 0.8 * self._batch_seconds + 0.2 * seconds if self._batch_seconds else seconds
        # Not strict: nothing is left to claim where close() has given up on this batch.
        for entry, result in zip(self._claim_running(), results, strict=False):
            entry.outcome.set_result(result)

    def _release_reason(self, size: int) -> ReleaseReason:
        if size == self._max_batch:
            return "full"
        return "drain" if self._closing else "idle"

    def _claim_running(self) -> list[_Entry[Item, Result]]:
        """Take the running batch; whoever takes it delivers its outcomes, so that each is delivered once."""
        with self._changed:
            claimed, self._running = self._running, []
        return claimed

    def _fail_all(self, why: str) -> None:
        with self._changed:
            waiting = [entry for entry in self._waiting if entry.outcome.set_running_or_notify_cancel()]
            self._waiting.clear()
        for entry in self._claim_running() + waiting:
            entry.outcome.set_exception(NotReady(why))
