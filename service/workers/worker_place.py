"""What a worker is given when it starts."""

import socket
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple

from service.api_keys import ApiKey
from service.workers.shared_numbers import SharedNumbers, WorkerNumbers


class WorkerPlace(NamedTuple):
    """A worker among its siblings.

    Attributes:
        number: which one it is, from zero.
        numbers: of all workers.
        listener: where all of them take their connections.
        admin_listener: the same for the admin port, if there is one.
        metrics_listeners: where each tells its metrics to the others.
        keys: the API keys; read once, so that all workers and their successors count the same ones. None: no keys.
        buckets: tokens, and when they were counted, of each key.
        failure: takes its number and the sentence that says why it ends, if something is wrong.
    """

    number: int
    numbers: WorkerNumbers
    listener: socket.socket
    admin_listener: socket.socket | None
    metrics_listeners: Sequence[socket.socket]
    keys: Sequence[ApiKey] | None
    buckets: SharedNumbers
    failure: Connection

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self.metrics_listeners)
