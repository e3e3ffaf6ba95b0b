"""Threads that serve whoever comes first in an order, and flows: work in several steps that waits without a thread.

A flow is a generator. It runs in one of the threads until it yields what it waits for; when that is there, it goes on
in whichever thread is free. So a request crosses from the event loop to the threads and back once, however many steps
it takes, and its steps read like a function.
"""

import heapq
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, Future
from itertools import count
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar

Result = TypeVar("Result")

_LONGEST_END_SECONDS: Final = 5.0


class Wait(NamedTuple):
    """What a flow waits for; it is sent their results, in order, or thrown the first of their exceptions.

    Attributes:
        futures: one at least.
        here: what follows is short, and is done at once by the thread that brings the last of the results.
    """

    futures: Sequence[Future[Any]]
    here: bool = False


_NOTHING: Final = Wait(())

Steps = Generator[Wait, list[Any], Result]


def single_step(work: Callable[[], Result]) -> Steps[Result]:
    """The flow of one step."""
    result = work()
    yield from ()
    return result


class OrderedThreads:
    """A few threads, for flows and for what is done for several of them at once, such as a batch.

    Of the flows, that with the least place in the order comes first. Joint work may be put off a little while flows
    wait that would still join it. Use as a context manager.

    Args:
        threads: how many.
        put_off_seconds: how long, at the most.
        others_are_idle: whether whoever shares the cores with these threads leaves them alone at present.
    """

    def __init__(
        self, threads: int, put_off_seconds: float, others_are_idle: Callable[[], bool] = lambda: True
    ) -> None:
        self._put_off_seconds = put_off_seconds
        self._others_are_idle = others_are_idle
        self._changed = threading.Condition()
        self._flows: list[tuple[float, int, Flow[Any]]] = []
        self._joint: deque[tuple[float, Callable[[], None]]] = deque()  # by when it is to begin
        self._tickets = count()
        self._alive = threads
        self._idle = 0
        self._too_many = 0
        self._closing = False
        self._local = threading.local()
        self._threads = [self._thread() for _ in range(threads)]

    def _thread(self) -> threading.Thread:
        # Daemons: the end of the process does not wait for a model that hangs.
        return threading.Thread(target=self._work, name="worker", daemon=True)

    def __enter__(self) -> Self:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Drop the flows that wait, finish all else, and end the threads that come back."""
        with self._changed:
            self._closing = True
            dropped, self._flows = self._flows, []
            self._changed.notify_all()
        for entry in dropped:
            entry[2].drop()
        give_up_at = time.perf_counter() + _LONGEST_END_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, give_up_at - time.perf_counter()))

    def run(self, order: float, steps: Steps[Result]) -> "Flow[Result]":
        """Queue a flow; each of its steps waits at this place of the order."""
        flow = Flow(steps, self, order)
        self.queue(flow)
        return flow

    def queue(self, flow: "Flow[Any]") -> None:
        """Have the next step of a flow done."""
        with self._changed:
            if not self._closing:
                flow.queued_at = time.perf_counter()
                heapq.heappush(self._flows, (flow.order, next(self._tickets), flow))
                self._wake_one()
                return
        flow.drop()

    def run_jointly(self, work: Callable[[], None]) -> None:
        """Have joint work done; it raises nothing."""
        with self._changed:
            self._joint.append((time.perf_counter() + self._put_off_seconds, work))
            self._wake_one()

    def withdraw(self, flow: "Flow[Any]") -> bool:
        """Take a flow out of the queue; False where a thread has it, or it waits for something else."""
        with self._changed:
            kept = [entry for entry in self._flows if entry[2] is not flow]
            found = len(kept) < len(self._flows)
            if found:
                heapq.heapify(kept)
                self._flows = kept
            return found

    def replace_one(self) -> None:
        """One of the threads does not come back from its work: start another in its place.

        Raises:
            RuntimeError: the system has no more threads.
        """
        thread = self._thread()
        with self._changed:
            self._alive += 1  # before it may be idle: `only_one_works` compares both
        try:
            thread.start()
        except RuntimeError:
            with self._changed:
                self._alive -= 1
            raise
        self._threads.append(thread)

    def one_is_back(self) -> None:
        """It has come back: the next thread that is free ends."""
        with self._changed:
            self._too_many += 1

    def only_one_works(self) -> bool:
        """Whether there is nothing to do but what the thread does that asks, here and where cores are shared."""
        with self._changed:
            only = self._idle == self._alive - 1 and not (self._flows or self._joint)
        return only and self._others_are_idle()

    def _wake_one(self) -> None:
        """Called with the lock held, when there is one thing more to do.

        What a thread of these brings first is left to that thread: waking another one for it costs more than it gains,
        and the other's caches do not hold the data.
        """
        if getattr(self._local, "takes_one_more", False):
            self._local.takes_one_more = False
        elif self._idle:
            self._changed.notify()

    def _work(self) -> None:
        while work := self._next():
            self._local.takes_one_more = True
            work()
            del work  # or the last picture would stay in memory until the next one

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not (self._flows or self._joint or self._closing or self._too_many):
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            if self._too_many:
                self._too_many -= 1
                self._alive -= 1
                self._changed.notify()  # for what this one would have taken
                return None
            work = self._take()
            if self._idle and (self._flows or self._joint):
                self._changed.notify()  # it has brought one thing and been given another
            return work

    def _take(self) -> Callable[[], None] | None:
        if self._joint and (not self._flows or self._joint[0][0] <= time.perf_counter()):
            return self._joint.popleft()[1]
        if not self._flows:
            return None
        flow = heapq.heappop(self._flows)[2]
        flow.waited_seconds += time.perf_counter() - flow.queued_at
        return flow.step


class Flow(Generic[Result]):
    """Steps on their way; made by `OrderedThreads.run`.

    Attributes:
        outcome: what the steps return or raise; a `CancelledError` where they were cancelled. It is set once no thread
            is at work on them any more.
        order: their place.
        queued_at: when they began to wait for a thread, by `time.perf_counter`.
        waited_seconds: for a thread, all times together.
    """

    def __init__(self, steps: Steps[Result], threads: OrderedThreads, order: float) -> None:
        self.outcome: Future[Result] = Future()
        self.outcome.set_running_or_notify_cancel()  # only `cancel` below may end it early
        self.order = order
        self.queued_at = self.waited_seconds = 0.0
        self._steps = steps
        self._threads = threads
        self._lock = threading.Lock()
        self._wait = _NOTHING
        self._missing = 0
        self._begun = self._cancelled = self._is_waiting = False

    def cancel(self) -> None:
        """Do no further step; `outcome` is set at once, or when the step that runs has come to its end."""
        with self._lock:
            self._cancelled = True
            was_waiting, self._is_waiting = self._is_waiting, False
        if was_waiting:
            self._give_up_waiting()
        elif self._threads.withdraw(self):
            self.drop()

    def _give_up_waiting(self) -> None:
        futures, self._wait = self._wait.futures, _NOTHING
        for future in futures:
            future.cancel()  # one that runs already goes on, for nobody
        self.drop()

    def drop(self) -> None:
        """End a flow that waits for a thread; nobody else may have it."""
        self._steps.close()
        self.outcome.set_exception(CancelledError())

    def step(self) -> None:
        """Go on until the steps wait or end; called by one thread at a time."""
        try:
            wait = self._advance()
        except StopIteration as end:
            self.outcome.set_result(end.value)
        except BaseException as error:  # noqa: BLE001 - it is raised where the outcome is waited for
            # Its traceback refers to the frames it has passed: the steps' with their picture, and this one with the
            # outcome that holds it. Neither is to live until the garbage collector comes.
            traceback.clear_frames(error.__traceback__)
            self.outcome.set_exception(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
        else:
            self._wait_for(wait)

    def _advance(self) -> Wait:
        if self._cancelled:
            self._steps.close()
            raise CancelledError
        if not self._begun:
            self._begun = True
            return next(self._steps)
        # What is done refers to this flow by its callbacks: without letting go, all of it would wait for the collector.
        futures, self._wait = self._wait.futures, _NOTHING
        try:
            results = [future.result() for future in futures]
        except BaseException as error:  # noqa: BLE001 - the steps may have something to say to it
            return self._steps.throw(error)
        return self._steps.send(results)

    def _wait_for(self, wait: Wait) -> None:
        with self._lock:
            self._wait, self._missing, self._is_waiting = wait, len(wait.futures), not self._cancelled
            cancelled = self._cancelled
        if cancelled:
            self._give_up_waiting()
            return
        for future in wait.futures:
            future.add_done_callback(self._one_is_there)

    def _one_is_there(self, _: Future[Any]) -> None:
        with self._lock:
            self._missing -= 1
            if self._missing or not self._is_waiting:
                return
            self._is_waiting = False
        if self._wait.here:
            self.step()
        else:
            self._threads.queue(self)
