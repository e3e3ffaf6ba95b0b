"""What a batcher asks of its surroundings: threads to run in, and somebody to tell."""

from collections.abc import Callable
from typing import Literal, Protocol

ReleaseReason = Literal["idle", "busy", "full", "drain"]
DropReason = Literal["deadline", "cancelled"]


class Threads(Protocol):
    """Where batches run."""

    def run_jointly(self, work: Callable[[], None]) -> None:
        """Have the work done by a thread, soon; it raises nothing."""

    def replace_one(self) -> None:
        """One of the threads does not come back from its work: start another in its place."""

    def one_is_back(self) -> None:
        """It has come back, and there is one too many."""

    def only_one_works(self) -> bool:
        """Whether there is nothing to do but what the thread does that asks."""


class BatchObserver(Protocol):
    """Told of what happens, from any thread."""

    def on_wait(self, seconds: float) -> None:
        """An item left the queue for a batch after so long."""

    def on_drop(self, reason: DropReason) -> None:
        """An item left the queue for nothing: too late, or nobody waits for it any more."""

    def on_batch(self, size: int, padded_size: int, reason: ReleaseReason) -> None:
        """A batch starts: its place was free, or these came while it was taken, or it is full, or the last ones."""
