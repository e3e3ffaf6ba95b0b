"""The sizes that a forward pass may have, what each takes, and which is best for what waits.

A model runs fastest at sizes that it has run before: memory is taken, kernels are chosen. So there is a handful of
sizes, each warmed before the first request, and a batch that falls between two of them is either padded up to the next
or cut down to the one before, whichever does more items per second by what was measured.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_NEWEST_SHARE = 0.2  # of a new measurement in the running mean


def powers_of_two(max_batch: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `max_batch` itself."""
    powers = [2**exponent for exponent in range(max_batch.bit_length())]
    return tuple(sorted({*(power for power in powers if power <= max_batch), max_batch}))


class Choice(NamedTuple):
    """How many items to take, and the size to run them at: `padded - items` places stay empty."""

    items: int
    padded: int


class BatchSizes:
    """Not thread-safe: its user holds a lock.

    Args:
        sizes: ascending, from 1.
        seconds: what a forward pass of each took at warm-up.
    """

    def __init__(self, sizes: Sequence[int], seconds: Mapping[int, float] | None = None) -> None:
        assert sizes[0] == 1, "a single item needs a size"
        assert list(sizes) == sorted(set(sizes)), "sizes ascend"
        self.sizes = tuple(sizes)
        self._seconds = dict(seconds or {})

    @property
    def largest(self) -> int:
        """The largest size."""
        return self.sizes[-1]

    def measured(self, size: int, seconds: float) -> None:
        """A forward pass of this size took so long."""
        before = self._seconds.get(size, seconds)
        self._seconds[size] = before + _NEWEST_SHARE * (seconds - before)

    def choose(self, waiting: int) -> Choice:
        """The batch to form when so many items wait (one at least); without measurements it is padded up."""
        if waiting >= self.largest:
            return Choice(self.largest, self.largest)
        above = bisect_left(self.sizes, waiting)
        padded = self.sizes[above]
        if padded == waiting or not {padded, self.sizes[above - 1]} <= self._seconds.keys():
            return Choice(waiting, padded)
        cut = self.sizes[above - 1]
        if cut / max(self._seconds[cut], 1e-9) > waiting / max(self._seconds[padded], 1e-9):
            return Choice(cut, cut)
        return Choice(waiting, padded)

    def seconds_for(self, items: int) -> float:
        """How long so many items will take, one batch after the other; zero where nothing was measured."""
        seconds = 0.0
        while items > 0:
            choice = self.choose(items)
            seconds += self._seconds.get(choice.padded, max(self._seconds.values(), default=0.0))
            items -= choice.items
        return seconds
