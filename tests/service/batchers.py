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


def double(items: list[int], _: int) -> list[int]:
    return [2 * item for item in items]


def create(
    run_batch: Callable[[list[Any], int], Sequence[Any]],
    recorder: Recorder | None = None,
    sizes: Sequence[int] = (1, 2, 4),
    max_queue: int = 100,
    stuck_seconds: float = SECONDS,
    probe: Callable[[], None] = lambda: None,
    threads: int = 1,
) -> DynamicBatcher[Any, Any]:
    return DynamicBatcher(
        [run_batch] * threads,
        probe,
        sizes=BatchSizes(sizes),
        max_queue=max_queue,
        stuck_seconds=stuck_seconds,
        observer=recorder or Recorder(),
    )


def started(*arguments: Any, **named: Any) -> DynamicBatcher[Any, Any]:
    batcher = create(*arguments, **named)
    batcher.start()
    return batcher


def condition(batcher: DynamicBatcher[Any, Any]) -> str:
    return batcher.condition  # a call: it changes by itself


def results(outcomes: Sequence[Future[Ran[Any]]]) -> list[Any]:
    return [outcome.result(SECONDS).result for outcome in outcomes]
