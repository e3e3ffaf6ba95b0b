"""Numbers that processes share: memory without a name, and a lock that the system takes back from the dead."""

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BYTES = 8  # of a number


class SharedNumbers:
    """A table of doubles. It goes to a process as an argument when that one is started, and lasts as long as anybody.

    Each number is written whole, and read as it is.

    Args:
        rows, columns: of the table, which is zero at first.
        descriptor: of the memory; None for new one.
    """

    def __init__(self, rows: int, columns: int, descriptor: int | None = None) -> None:
        size = rows * columns * _BYTES
        if descriptor is None:
            descriptor = os.memfd_create("focalpoint")
            os.ftruncate(descriptor, size)
        self._descriptor = descriptor
        self.table: NDArray[np.float64] = np.frombuffer(mmap.mmap(descriptor, size)).reshape(rows, columns)

    def __reduce__(self) -> tuple[Any, ...]:
        """For the process that is being started."""
        return _attach, (*self.table.shape, DupFd(self._descriptor))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other process has the lock while the block runs; within one process it does not exclude."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def _attach(rows: int, columns: int, descriptor: Any) -> SharedNumbers:
    return SharedNumbers(rows, columns, descriptor.detach())


class WorkerNumbers:
    """What workers tell each other, and what their supervisor tells them: for each of them a number.

    Attributes:
        beats: the monotonic time at which it was last well; 0 before it serves.
        connections: how many are open; infinite for one that wants none.
        in_flight: the images that it works on.
        stops: how often it was told to end.
        interrupts: how often of these by SIGINT.
        rescans: how often it was told to look at the folder of bundles, since the server's start.
    """

    def __init__(self, workers: int) -> None:
        self._numbers = SharedNumbers(6, workers)
        self._view()
        for worker in range(workers):
            self.clear(worker)

    def _view(self) -> None:
        self.beats, self.connections, self.in_flight, self.stops, self.interrupts, self.rescans = self._numbers.table

    def __getstate__(self) -> SharedNumbers:
        """The memory itself."""
        return self._numbers

    def __setstate__(self, numbers: SharedNumbers) -> None:
        """The same memory in another process."""
        self._numbers = numbers
        self._view()

    def clear(self, worker: int) -> None:
        """There is no such worker at present."""
        for numbers in (self.beats, self.in_flight, self.stops, self.interrupts):
            numbers[worker] = 0.0
        self.connections[worker] = np.inf
