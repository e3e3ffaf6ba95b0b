"""Trainings side by side: a process for each run, so many at a time, each with its share of the cores."""

import fcntl
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from model_export.comparison.planned_runs import PlannedRun
from model_export.errors import RunError

LOG_FILE = "log.txt"
_LOCK_FILE = "lock"
_SECONDS_BETWEEN_LOOKS = 0.1


def train_side_by_side(
    runs: Sequence[PlannedRun], workers: int, threads: int, finished: Callable[[PlannedRun], None]
) -> None:
    """Start or resume each run, at most `workers` at a time; what a run prints goes to `log.txt` in its folder.

    A run that fails does not keep the others from being done. When this process is ended, so are the runs; one that it
    leaves behind all the same (SIGKILL) keeps its folder locked until it ends itself.

    Args:
        runs: that are not done.
        workers: processes at a time.
        threads: of each process.
        finished: called with each run that is done.

    Raises:
        RunError: runs failed, or one is being trained by another process.
    """
    waiting, failed = deque(runs), list[PlannedRun]()
    running: list[tuple[PlannedRun, subprocess.Popen[bytes]]] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                run = waiting.popleft()
                running.append((run, _start(run, threads)))
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            ended = [(run, process) for run, process in running if process.poll() is not None]
            running = [pair for pair in running if pair not in ended]
            for run, process in ended:
                if process.returncode:
                    failed.append(run)
                else:
                    finished(run)
    finally:
        for _, process in running:
            process.terminate()
        for _, process in running:
            process.wait()
    if failed:
        raise RunError(_describe(failed))


def _start(run: PlannedRun, threads: int) -> subprocess.Popen[bytes]:
    folder = run.folder.path
    folder.mkdir(parents=True, exist_ok=True)
    resume = ["--resume"] if run.folder.checkpoint.exists() else []
    with _locked(folder) as lock, (folder / LOG_FILE).open("ab") as log:
        # The lock is the file's, not the process': it holds until the last of both has closed it.
        return subprocess.Popen(
            [sys.executable, "-m", "service", *run.arguments, *resume],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            pass_fds=[lock.fileno()],
        )


@contextmanager
def _locked(folder: Path) -> Iterator[IO[bytes]]:
    with (folder / _LOCK_FILE).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"{folder} is being trained by another process: wait for it, or end it") from error
        yield lock


def _describe(failed: Sequence[PlannedRun]) -> str:
    log = failed[0].folder.path / LOG_FILE
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = said[-1].removeprefix("focalpoint: ") if said else "without a word"
    others = f" (and {len(failed) - 1} more runs)" if len(failed) > 1 else ""
    return f"arm {failed[0].arm}, seed {failed[0].seed} failed{others}, see {log}: {last}"
