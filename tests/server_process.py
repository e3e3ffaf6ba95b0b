"""The real thing: `focalpoint serve` as a process of its own, and what the system says of it."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

COMMAND = [sys.executable, "-m", "service", "serve"]
START_SECONDS = 60


@dataclass(frozen=True)
class ServerProcess:
    """A server that is up, its address, and the file of its log."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def client(self, **options: object) -> httpx.Client:
        """A client that talks to it and to no proxy."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=30, **options)  # type: ignore[arg-type]

    def resident_bytes(self) -> int:
        """Memory in use, without what it shares with files (Linux)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        found = re.search(r"RssAnon:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024

    def cpu_seconds(self) -> float:
        """Processor time used so far, in user and system mode (Linux)."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self) -> int:
        """Open file descriptors (Linux)."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@contextmanager
def serving(bundle: Path | str, *flags: str, **environment: str) -> Iterator[ServerProcess]:
    """A server on a free port; killed at the end if it still runs."""
    # A file, not a pipe: a pipe that nobody reads fills up, and then the server waits for it.
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen(
            [*COMMAND, str(bundle), "--port", "0", *flags], stderr=log, env={**os.environ, **environment}
        )
        try:
            yield ServerProcess(process, _wait_for_address(process, Path(log.name)), Path(log.name))
        finally:
            process.kill()
            process.wait()


def _wait_for_address(process: subprocess.Popen[bytes], log: Path) -> str:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if found := re.search(r"running on (https?://\S+)", log.read_text(encoding="utf-8")):
            return found[1]
        assert process.poll() is None, f"the server did not start: {log.read_text(encoding='utf-8')}"
        time.sleep(0.02)
    raise AssertionError(f"the server did not start in time: {log.read_text(encoding='utf-8')}")
