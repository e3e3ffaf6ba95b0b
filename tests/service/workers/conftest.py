"""Places of workers, without the workers."""

import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from service.workers.shared_numbers import SharedNumbers, WorkerNumbers
from service.workers.supervisor import _private_listener
from service.workers.worker_place import WorkerPlace


@pytest.fixture
def places() -> Iterator[list[WorkerPlace]]:
    """Three of them."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        metrics_listeners = [stack.enter_context(_private_listener()) for _ in range(3)]
        reading, failure = multiprocessing.Pipe(duplex=False)
        stack.enter_context(reading)
        stack.enter_context(failure)
        place = WorkerPlace(0, WorkerNumbers(3), listener, None, metrics_listeners, None, SharedNumbers(1, 2), failure)
        yield [place._replace(number=number) for number in range(3)]
