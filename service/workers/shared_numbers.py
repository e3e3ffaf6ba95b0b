"""Numbers that processes share: a file that each of them maps, and a lock that the system takes back from the dead."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

_NUMBERS_FILE = "numbers"
_BUCKETS_FILE = "buckets"
_LOCK_FILE = "lock"
_ROWS = 3


class WorkerNumbers:
    """What workers tell each other and their supervisor. Each number is written whole, by whom it is about.

    Attributes:
        beats: per worker, the monotonic time at which it was last well; 0 before it serves.
        connections: per worker, how many are open; infinite for one that takes none.
        in_flight: per worker, the images that it works on.
    """

    def __init__(self, folder: Path, workers: int) -> None:
        rows = np.memmap(folder / _NUMBERS_FILE, np.float64, mode="r+", shape=(_ROWS, workers))
        self.beats: NDArray[np.float64] = rows[0]
        self.connections: NDArray[np.float64] = rows[1]
        self.in_flight: NDArray[np.float64] = rows[2]

    @classmethod
    def create(cls, folder: Path, workers: int) -> Self:
        """No worker serves yet."""
        np.memmap(folder / _NUMBERS_FILE, np.float64, mode="w+", shape=(_ROWS, workers))
        numbers = cls(folder, workers)
        for worker in range(workers):
            numbers.clear(worker)
        return numbers

    def clear(self, worker: int) -> None:
        """There is no such worker at present."""
        self.beats[worker], self.connections[worker], self.in_flight[worker] = 0.0, np.inf, 0.0


class SharedBuckets:
    """The token buckets of API keys: a row of tokens and time for each, filled by the first who finds it empty.

    Locked while the block runs.
    """

    def __init__(self, folder: Path, keys: int) -> None:
        self.rows: NDArray[np.float64] = np.memmap(folder / _BUCKETS_FILE, np.float64, mode="r+", shape=(keys, 2))
        self._lock = os.open(folder / _LOCK_FILE, os.O_RDWR)

    @classmethod
    def create(cls, folder: Path, bursts: list[float], now: float) -> Self:
        """Full ones.

        Args:
            folder: of the workers.
            bursts: tokens of a full one, for each key.
            now: monotonic seconds.
        """
        rows = np.memmap(folder / _BUCKETS_FILE, np.float64, mode="w+", shape=(len(bursts), 2))
        rows[:, 0], rows[:, 1] = bursts, now
        (folder / _LOCK_FILE).touch()
        return cls(folder, len(bursts))

    def __enter__(self) -> Self:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)
