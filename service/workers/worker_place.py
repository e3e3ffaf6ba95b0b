"""What a worker is told when it starts."""

from pathlib import Path
from typing import NamedTuple

from service.api_keys import ApiKey


class WorkerPlace(NamedTuple):
    """A worker among its siblings.

    Attributes:
        number: which one it is, from zero.
        workers: how many there are.
        folder: theirs alone: what they share, and their sockets.
        keys: the API keys; read once, so that all workers and their successors count the same ones. None: no keys.
    """

    number: int
    workers: int
    folder: Path
    keys: tuple[ApiKey, ...] | None

    @property
    def failure_file(self) -> Path:
        """Where it says why it ends, if something is wrong."""
        return self.folder / f"{self.number}.failure"

    def metrics_socket(self, number: int) -> Path:
        """Where a worker tells its siblings its metrics."""
        return self.folder / f"{number}.metrics"
