"""The peers' work without a server, a picture at a time: about as fast as serving can get with these forward passes."""

import threading
import time
from pathlib import Path
from typing import NamedTuple

import orjson
from peers.keypoint_work import KeypointWork


class Alone(NamedTuple):
    """Pictures per second of all threads together, and processor time of one."""

    pictures_per_second: float
    cpu_ms_per_picture: float


def work_alone(bundle: Path, jpeg: bytes, threads: int, seconds: float) -> Alone:
    """Decode, both crops and forward passes, and JSON, in so many threads of this process."""
    work = KeypointWork(bundle, intra_op_threads=1)
    work.answers([jpeg])
    done: list[int] = []  # one entry for each picture: appending is atomic
    used, started = time.process_time(), time.perf_counter()

    def repeat() -> None:
        while time.perf_counter() - started < seconds:
            orjson.dumps(work.answers([jpeg])[0])
            done.append(1)

    running = [threading.Thread(target=repeat) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    used, elapsed = time.process_time() - used, time.perf_counter() - started
    return Alone(len(done) / elapsed, 1000 * used / len(done))
