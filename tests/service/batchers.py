"""Batchers for tests: programmable models, and a recorder of what the batcher tells."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from service.batch_sizes import BatchSizes
from service.dynamic_batching import DynamicBatcher, Ran

SECONDS = 10


@dataclass
class Recorder:
    """Notes what the batcher tells; may be made to fail."""

    waits: list[float] = field(default_factory=list)
    drops: list[str] = field(default_factory=list)
    batches: list[tuple[int, int, str]] = field(default_factory=list)
    failure: Exception | None = None

    def on_wait(self, seconds: float) -> None:
        """Note a wait."""
        self.waits.append(seconds)

    def on_drop(self, reason: str) -> None:
        """Note a drop."""
        self.drops.append(reason)

    def on_batch(self, size: int, padded_size: int, reason: str) -> None:
        """Note a batch."""
        if self.failure:
            raise self.failure
        self.batches.append((size, padded_size, reason))


class Gate:
    """A `run_batch` that doubles numbers once it is let through; `entered` counts the batches that have begun."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.seen: list[list[int]] = []

    def __call__(self, items: list[int], _: int) -> list[int]:
        """Double every item."""
        self.seen.append(items)
        self.entered.release()
        assert self.open.wait(SECONDS)
        return double(items, _)


class _OneForEach:
    """A thread for each batch, so that none of them waits for another.

    Args:
        alone: what each of them takes itself for.
    """

    def __init__(self, alone: bool) -> None:
        self._alone = alone

    def run_jointly(self, work: Callable[[], None]) -> None:
        """Start a thread."""
        threading.Thread(target=work, daemon=True).start()

    def replace_one(self) -> None:
        """There is no end of them."""

    def one_is_back(self) -> None:
        """As before."""

    def only_one_works(self) -> bool:
        """What the test says."""
        return self._alone


def double(items: list[int], _: int) -> list[int]:
    return [2 * item for item in items]


def create(
    run_batch: Callable[[list[Any], int], Sequence[Any]],
    recorder: Recorder | None = None,
    sizes: Sequence[int] = (1, 2, 4),
    max_queue: int = 100,
    stuck_seconds: float = SECONDS,
    probe: Callable[[], None] = lambda: None,
    at_once: int = 1,
    run_alone: Callable[[list[Any], int], Sequence[Any]] | None = None,
    alone: bool = True,
) -> DynamicBatcher[Any, Any]:
    return DynamicBatcher(
        [run_batch] * at_once,
        probe,
        _OneForEach(alone),
        sizes=BatchSizes(sizes),
        max_queue=max_queue,
        stuck_seconds=stuck_seconds,
        observer=recorder or Recorder(),
        run_alone=run_alone,
    )


def started(*arguments: Any, **named: Any) -> DynamicBatcher[Any, Any]:
    batcher = create(*arguments, **named)
    batcher.start()
    return batcher


def condition(batcher: DynamicBatcher[Any, Any]) -> str:
    return batcher.condition  # a call: it changes by itself


def results(outcomes: Sequence[Future[Ran[Any]]]) -> list[Any]:
    return [outcome.result(SECONDS).result for outcome in outcomes]
