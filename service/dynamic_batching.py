"""Dynamic batching, blind to its payload: batch while busy, never wait while idle, one outcome per item always.

A few batches run at a time, in threads that are borrowed for each. An item that arrives while fewer run starts at once,
alone; whatever arrives while all places are taken forms the next batches. So there is no time window to tune, and
batches grow with the load by themselves.
A thread of its own watches them: a batch that does not come back is given up, and so is whatever waits behind it.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Literal, NamedTuple, TypeVar

from service.batch_sizes import BatchSizes, Choice
from service.batch_surroundings import BatchObserver, ReleaseReason, Threads
from service.errors import DeadlineExceeded, InferenceFailed, NotReady, Overloaded

Item = TypeVar("Item")
Result = TypeVar("Result")
BatcherCondition = Literal["working", "failing", "stuck", "dead", "closed"]

_FAILURES_IN_A_ROW = 3
_PROBE_SECONDS = 1.0
_SLOW_SECONDS = 1.0  # from then on a batch's thread is replaced until it is back

_logger = logging.getLogger(__name__)


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
class _Place(Generic[Item, Result]):
    """A place for one batch at a time, and what is in it."""

    run_batch: RunBatch[Item, Result]
    taken: bool = False  # a thread has it, or will soon
    running: list[_Entry[Item, Result]] = field(default_factory=list)
    busy_since: float = math.inf  # when a batch or a probe began
    was_busy: bool = False
    stuck: bool = False
    replaced: bool = False  # its thread, as long as it does not come back


class DynamicBatcher(Generic[Item, Result]):
    """Joins items from many callers into batches, first come, first served.

    Where a batch raises, its items are tried again one by one, so that a bad one fails alone. After three batches in a
    row without a success the condition is `failing` until one succeeds; while nobody sends any, `probe` tries.

    Args:
        runs: as many as batches may run at a time, each called for one at a time: takes some items and the size to pad
            them to; returns for each, in order, its result or what is wrong with it.
        probe: raises while the model does not work; called in place of the first of them.
        threads: where batches run.
        sizes: the sizes that a batch may have.
        max_queue: the most items that may wait.
        stuck_seconds: a batch that takes longer is given up, and the condition is `stuck` until it comes back.
        observer: told of waits, drops and batches.
        run_alone: in place of `runs` for a lone item while nothing else is to be done, if there is such a one; where it
            fails, one of them tries again.
    """

    def __init__(
        self,
        runs: Sequence[RunBatch[Item, Result]],
        probe: Callable[[], None],
        threads: Threads,
        *,
        sizes: BatchSizes,
        max_queue: int,
        stuck_seconds: float,
        observer: BatchObserver,
        run_alone: RunBatch[Item, Result] | None = None,
    ) -> None:
        self._probe = probe
        self._run_alone = run_alone
        self._alone = False  # whether it runs
        self._sizes = sizes
        self._max_queue = max_queue
        self._stuck_seconds = stuck_seconds
        self._observer = observer
        self._changed = threading.Condition()
        self._waiting: deque[_Entry[Item, Result]] = deque()
        self._failures = 0
        self._closing = self._dead = False
        self._threads = threads
        self._places = [_Place(run_batch) for run_batch in runs]
        self._over = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name="batcher-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch; once, before anything is submitted."""
        self._watchdog.start()

    @property
    def condition(self) -> BatcherCondition:
        """Whether an item that is submitted now is likely to be worked on."""
        if self._closing:
            return "closed"
        if self._dead:
            return "dead"
        if any(place.stuck for place in self._places):
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
        batches = [len(self._waiting), *(len(place.running) for place in self._places)]
        return sum(map(self._sizes.seconds_for, batches)) / len(self._places)

    def submit(self, items: Iterable[Item], deadline: float = math.inf) -> list[Future[Ran[Result]]]:
        """Queue the items, all of them or none, and return their outcomes. Cancel an outcome to drop its item.

        Args:
            items: any number.
            deadline: by `time.perf_counter`; what has not started by then ends in `DeadlineExceeded`.

        Raises:
            Overloaded: there is no room for all of them.
            NotReady: the batcher is closed or has died, or a batch does not come back.
        """
        # Not _Entry[Item, Result](...): such a call takes three times as long.
        entries: list[_Entry[Item, Result]] = [_Entry(item, deadline) for item in items]
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
            places = [place for place in self._places if not place.taken][: len(entries)]
            for place in places:
                place.taken = True
        for place in places:
            self._threads.run_jointly(partial(self._work, place))
        return [entry.outcome for entry in entries]

    def close(self, drain_seconds: float) -> None:
        """Take nothing new, finish what waits, and fail with `NotReady` what is not done after `drain_seconds`."""
        with self._changed:
            self._closing = True
            self._changed.wait_for(self._nothing_goes_on, drain_seconds)
        for place in self._places:
            self._replace_thread(place, after_seconds=0.0)
        self._over.set()
        if self._watchdog.ident is not None:
            self._watchdog.join()  # it would keep the model's memory a moment longer
        _fail(self._claim(*self._places), _WHY_NOT["closed"])

    def _nothing_goes_on(self) -> bool:
        return not any(place.taken and not place.stuck for place in self._places)

    def _work(self, place: _Place[Item, Result], *, probe: bool = False) -> None:
        """Run one batch; where more waits then, have the next one run as soon as a thread is free."""
        try:
            if probe:
                self._try_probe(place)
            if batch := self._next_batch(place):
                self._run(place, *batch)
        except BaseException:
            # The boundary of a borrowed thread. What gets here is no failure of the model but a bug around it, or the
            # engine wants the end of the process.
            _logger.exception("the batcher has died")
            self._dead = True
            with self._changed:
                self._is_back(place)
            _fail(self._claim(place), _WHY_NOT["dead"])
        with self._changed:
            place.was_busy = place.taken = bool(self._waiting)
            if self._closing:
                self._changed.notify_all()
        if place.was_busy:
            self._threads.run_jointly(partial(self._work, place))

    def _next_batch(self, place: _Place[Item, Result]) -> tuple[Choice, ReleaseReason] | None:
        """Make items that somebody waits for the running batch; None where there are none."""
        with self._changed:
            self._drop_what_is_late()
            if not self._waiting:
                return None
            # What waits is shared by the places that are about to begin, of which this is one.
            beginning = sum(other.taken and math.isinf(other.busy_since) for other in self._places)
            choice = self._sizes.choose(-(-len(self._waiting) // beginning))
            taken = [self._waiting.popleft() for _ in range(choice.items)]
            place.running = [entry for entry in taken if entry.outcome.set_running_or_notify_cancel()]
            place.busy_since = time.perf_counter()
            return choice, self._release_reason(place, choice.items)

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

    def _release_reason(self, place: _Place[Item, Result], size: int) -> ReleaseReason:
        if size == self._sizes.largest:
            return "full"
        if self._closing:
            return "drain"
        return "busy" if place.was_busy else "idle"

    def _run(self, place: _Place[Item, Result], choice: Choice, reason: ReleaseReason) -> None:
        batch, started = list(place.running), place.busy_since
        if not batch:  # every one of them was cancelled in the last moment
            with self._changed:
                self._is_back(place)
            return
        for entry in batch:
            self._observer.on_wait(started - entry.arrived)
        self._observer.on_batch(len(batch), choice.padded, reason)
        items = [entry.item for entry in batch]
        run_batch = self._choose_run(place, choice)
        alone = run_batch is self._run_alone
        results = self._attempt(run_batch, items, choice.padded)
        if alone and not _any_worked(results):
            results = self._attempt(place.run_batch, items, choice.padded)
        seconds = time.perf_counter() - started
        worked = _any_worked(results)
        with self._changed:
            if alone:
                self._alone = False
            if worked and not place.stuck and not alone:
                self._sizes.measured(choice.padded, seconds)
            self._failures = 0 if worked else self._failures + 1
            claimed, place.running = place.running, []
            self._is_back(place)
        # Not strict: nothing is left to claim where the watchdog or close() has given up on this batch.
        for entry, result in zip(claimed, results, strict=False):
            if isinstance(result, Exception):
                entry.outcome.set_exception(result)
            else:
                entry.outcome.set_result(Ran(result, started - entry.arrived, seconds, len(batch)))

    def _choose_run(self, place: _Place[Item, Result], choice: Choice) -> RunBatch[Item, Result]:
        if self._run_alone is None or choice.padded > 1:
            return place.run_batch
        with self._changed:
            if self._alone or not self._threads.only_one_works():
                return place.run_batch
            self._alone = True
            return self._run_alone

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

    def _try_probe(self, place: _Place[Item, Result]) -> None:
        place.busy_since = time.perf_counter()
        try:
            self._probe()
        except Exception as error:  # noqa: BLE001 - as in _attempt
            _logger.warning("the model still fails: %s", error)
        else:
            _logger.info("the model works again")
            self._failures = 0
        with self._changed:
            self._is_back(place)

    def _is_back(self, place: _Place[Item, Result]) -> None:
        """The model has come back from a batch or a probe; called with the lock held."""
        if place.stuck:
            _logger.warning("the model has come back after %.1f s", time.perf_counter() - place.busy_since)
        if place.replaced:
            self._threads.one_is_back()
        place.stuck = place.replaced = False
        place.busy_since = math.inf

    def _watch(self) -> None:
        """Give up on a batch, or a probe, that does not come back; probe a model that fails while nobody asks it."""
        probed = -math.inf
        while not self._over.wait(min(self._stuck_seconds / 4, _PROBE_SECONDS)):
            for place in self._places:
                self._replace_thread(place, after_seconds=_SLOW_SECONDS)
                self._give_up_if_stuck(place)
            now, first = time.perf_counter(), self._places[0]
            with self._changed:
                idle = not any(place.taken for place in self._places)
                due = idle and self._failures >= _FAILURES_IN_A_ROW and now - probed >= _PROBE_SECONDS
                first.taken = first.taken or due
            if due:
                probed = now
                self._threads.run_jointly(partial(self._work, first, probe=True))

    def _replace_thread(self, place: _Place[Item, Result], after_seconds: float) -> None:
        """Have another thread in place of one that is long away: other models, and pictures, need them too."""
        with self._changed:
            if place.replaced or time.perf_counter() - place.busy_since <= after_seconds:
                return
            try:
                self._threads.replace_one()
            except RuntimeError:  # the system has no more threads
                _logger.exception("a thread that the model keeps is not replaced")
            else:
                place.replaced = True

    def _give_up_if_stuck(self, place: _Place[Item, Result]) -> None:
        with self._changed:
            if place.stuck or time.perf_counter() - place.busy_since <= self._stuck_seconds:
                return
            place.stuck = True
            given_up = self._claim(place)
            self._changed.notify_all()  # close() may wait for it
        _logger.error("the model has not come back after %.1f s: what waits is given up", self._stuck_seconds)
        _fail(given_up, _WHY_NOT["stuck"])

    def _claim(self, *places: _Place[Item, Result]) -> list[_Entry[Item, Result]]:
        """Take what waits and what these places run; whoever takes it delivers its outcome, so that each has one."""
        with self._changed:
            claimed = [entry for entry in self._waiting if entry.outcome.set_running_or_notify_cancel()]
            self._waiting.clear()
            for place in places:
                claimed += place.running
                place.running = []
            return claimed


def _any_worked(results: Sequence[object]) -> bool:
    return any(not isinstance(result, Exception) for result in results)


def _fail(entries: Iterable[_Entry[Item, Result]], why: str) -> None:
    for entry in entries:
        entry.outcome.set_exception(NotReady(why))


_WHY_NOT: dict[BatcherCondition, str] = {
    "stuck": "the model does not come back from a batch",
    "dead": "the model has died",
    "closed": "the server is stopping",
}
