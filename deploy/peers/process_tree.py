"""What a server and all that it started cost: processor time and memory, as Linux says.

Its processes are known by a mark in their environment, which children inherit even where they leave the tree, as those
of Ray do.
"""

import os
import signal
import time
from pathlib import Path

MARK = "PEER_MARK"
_END_SECONDS = 10.0


def marked_processes(mark: str) -> list[int]:
    """Ids of the processes that were started with `PEER_MARK=mark` in their environment, or by such a one."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it has ended meanwhile, or is not ours to look at
            continue
    return found


def cpu_seconds(mark: str) -> float:
    """Processor time in user and system mode so far, with that of children that have ended."""
    ticks = 0
    for process in marked_processes(mark):
        try:
            fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_bytes(mark: str) -> int:
    """Proportional set size of all: a page that several share counts once."""
    total = 0
    for process in marked_processes(mark):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def end_processes(mark: str) -> None:
    """Ask them to end, wait, and kill those that do not."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        give_up = time.monotonic() + _END_SECONDS
        for process in marked_processes(mark):
            _send(process, signal_number)
        while (left := marked_processes(mark)) and time.monotonic() < give_up:
            _reap(left)
            time.sleep(0.05)
        if not left:
            return
    raise RuntimeError(f"processes {left} did not end")


def _send(process: int, signal_number: signal.Signals) -> None:
    try:
        os.kill(process, signal_number)
    except ProcessLookupError:
        return  # it has ended meanwhile


def _reap(processes: list[int]) -> None:
    """Take leave of children of this very process; an ended one would stay otherwise, without an environment."""
    for process in processes:
        try:
            os.waitpid(process, os.WNOHANG)
        except ChildProcessError:
            continue
