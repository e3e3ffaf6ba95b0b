"""Threads that serve whoever comes first in an order, and flows: work in several steps that waits without a thread.

A flow is a generator. It runs in one of the threads until it yields what it waits for; when that is there, it goes on
in whichever thread is free. So a request crosses from the event loop to the threads and back once, however many steps
it takes, and its steps read like a function.
"""

import heapq
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, Future
from itertools import count
from typing import Any, Generic, NamedTuple, TypeVar

Result = TypeVar("Result")


class Wait(NamedTuple):
    """What a flow waits for; it is sent their results, in order, or thrown the first of their exceptions.

    Attributes:
        futures: one at least.
        here: what follows is short, and is done at once by the thread that brings the last of the results.
    """

    futures: Sequence[Future[Any]]
    here: bool = False


Steps = Generator[Wait, list[Any], Result]


def single_step(work: Callable[[], Result]) -> Steps[Result]:
    """The flow of one step."""
    result = work()
    yield from ()
    return result


class OrderedThreads:
    """A few threads; of what waits for one, that with the least place in the order comes first.

    Args:
        threads: how many.
        name: that they begin with.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._changed = threading.Condition()
        self._waiting: list[tuple[float, int, Flow[Any]]] = []
        self._tickets = count()
        self._closing = False
        self._threads = [threading.Thread(target=self._work, name=f"{name}_{index}") for index in range(threads)]

    def start(self) -> None:
        """Start the threads; once."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Drop what waits, finish the steps that run, and end the threads."""
        with self._changed:
            self._closing = True
            dropped, self._waiting = self._waiting, []
            self._changed.notify_all()
        for _, _, flow in dropped:
            flow.drop()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def run(self, order: float, steps: Steps[Result]) -> "Flow[Result]":
        """Queue a flow; each of its steps waits at this place of the order."""
        flow = Flow(steps, self, order)
        self.queue(flow)
        return flow

    def queue(self, flow: "Flow[Any]") -> None:
        """Have the next step of a flow done."""
        with self._changed:
            if not self._closing:
                heapq.heappush(self._waiting, (flow.order, next(self._tickets), flow))
                self._changed.notify()
                return
        flow.drop()

    def withdraw(self, flow: "Flow[Any]") -> bool:
        """Take a flow out of the queue; False where a thread has it, or it waits for something else."""
        with self._changed:
            kept = [entry for entry in self._waiting if entry[2] is not flow]
            found = len(kept) < len(self._waiting)
            if found:
                heapq.heapify(kept)
                self._waiting = kept
            return found

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._closing:
                        return
                    self._changed.wait()
                _, _, flow = heapq.heappop(self._waiting)
            flow.step()
            del flow  # or the last picture would stay in memory until the next one


class Flow(Generic[Result]):
    """Steps on their way; made by `OrderedThreads.run`.

    Attributes:
        outcome: what the steps return or raise; a `CancelledError` where they were cancelled. It is set once no thread
            is at work on them any more.
        order: their place.
    """

    def __init__(self, steps: Steps[Result], threads: OrderedThreads, order: float) -> None:
        self.outcome: Future[Result] = Future()
        self.outcome.set_running_or_notify_cancel()  # only `cancel` below may end it early
        self.order = order
        self._steps = steps
        self._threads = threads
        self._lock = threading.Lock()
        self._wait = Wait([])
        self._missing = 0
        self._begun = self._cancelled = False

    def cancel(self) -> None:
        """Do no further step; `outcome` says when the one that runs, if any does, has come to its end."""
        with self._lock:
            self._cancelled = True
            futures = list(self._wait.futures)
        for future in futures:
            future.cancel()
        if self._threads.withdraw(self):
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
            self.outcome.set_exception(error)
        else:
            self._wait_for(wait)

    def _advance(self) -> Wait:
        if self._cancelled:
            self._steps.close()
            raise CancelledError
        if not self._begun:
            self._begun = True
            return next(self._steps)
        try:
            results = [future.result() for future in self._wait.futures]
        except BaseException as error:  # noqa: BLE001 - the steps may have something to say to it
            return self._steps.throw(error)
        return self._steps.send(results)

    def _wait_for(self, wait: Wait) -> None:
        with self._lock:
            self._wait, self._missing = wait, len(wait.futures)
            cancelled = self._cancelled
        if cancelled:
            for future in wait.futures:
                future.cancel()
        for future in wait.futures:
            future.add_done_callback(self._one_is_there)

    def _one_is_there(self, _: Future[Any]) -> None:
        with self._lock:
            self._missing -= 1
            if self._missing:
                return
        if self._wait.here:
            self.step()
        else:
            self._threads.queue(self)
