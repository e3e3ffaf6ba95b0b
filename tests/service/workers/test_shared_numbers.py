"""What processes share: token buckets that are counted together, and who is idle."""

import multiprocessing
import os
import signal
import threading
import time

import pytest

from service.api_keys import ApiKey, KeyRing, burst_of, new_key
from service.errors import Overloaded
from service.workers.shared_numbers import SharedNumbers
from service.workers.siblings import Siblings
from service.workers.worker_place import WorkerPlace
from tests.service.test_admission import Clock


def test_rings_of_several_processes_count_the_same_tokens() -> None:
    clock = Clock()
    (key, sha256), (other, other_sha256) = new_key(), new_key()
    keys = [
        ApiKey(name="one", sha256=sha256, images_per_second=2, burst=4),
        ApiKey(name="two", sha256=other_sha256, images_per_second=1),
    ]
    buckets = SharedNumbers(2, 2)
    buckets.table[:, 0], buckets.table[:, 1] = [burst_of(each) for each in keys], clock.now

    def ring() -> KeyRing:
        return KeyRing(keys, clock, buckets.table, buckets.locked)

    first, second = ring().identify(f"Bearer {key}"), ring().identify(f"Bearer {key}")
    first.take(3)
    second.take(1)
    for bucket in (first, second):
        with pytest.raises(Overloaded, match="the API key one may send 2 images per second") as refused:
            bucket.take(1)
        assert refused.value.members == {"retry_after_ms": 500}
    ring().identify(f"Bearer {other}").take(1)  # has a bucket of its own
    clock.now += 1
    second.take(1)
    first.take(1)
    with pytest.raises(Overloaded):
        second.take(1)


def hold_the_lock(numbers: SharedNumbers) -> None:
    """Until it is killed."""
    with numbers.locked():
        numbers.table[1, 2] = 0.5
        time.sleep(60)


def test_a_process_that_is_killed_does_not_keep_the_lock() -> None:
    numbers = SharedNumbers(2, 3)
    holder = multiprocessing.get_context("spawn").Process(target=hold_the_lock, args=(numbers,))
    holder.start()
    give_up = time.monotonic() + 30
    while not numbers.table[1, 2]:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    waiting = threading.Thread(target=lambda: numbers.locked().__enter__())
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()  # it does have the lock
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    waiting.join(10)  # it would have it for a minute
    assert not waiting.is_alive()
    holder.join(10)
    assert holder.exitcode == -signal.SIGKILL
    assert numbers.table.tolist() == [[0, 0, 0], [0, 0, 0.5]]


def test_siblings_are_idle_while_no_other_process_works(places: list[WorkerPlace]) -> None:
    numbers = places[0].numbers
    first, second, _ = map(Siblings, places)
    assert first.are_idle()
    first.tell_in_flight(2)
    assert first.are_idle()
    assert not second.are_idle()
    numbers.clear(0)  # it is gone, and so is what it worked on
    assert second.are_idle()
    alone = Siblings(None)
    alone.tell_in_flight(5)
    assert alone.are_idle()
