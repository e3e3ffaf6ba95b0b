"""A server of the benchmark's own: `focalpoint serve` on a free port, with the settings that nobody has changed."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

START_SECONDS = 120.0


class OwnServer(NamedTuple):
    """Where it listens, and its process."""

    url: str
    process: "subprocess.Popen[bytes]"


@contextmanager
def own_server(model: Path, flags: Sequence[str] = ()) -> Iterator[OwnServer]:
    """A server that is up; it ends with the block.

    Args:
        model: the folder of a bundle.
        flags: of `focalpoint serve`.

    Raises:
        SystemExit: it does not start; the message is its log.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FOCALPOINT_")}
    # A file, not a pipe: a pipe that nobody reads fills up, and then the server waits for it.
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve", str(model), "--port", "0", *flags], stderr=log, env=environment
        )
        try:
            yield OwnServer(_wait_for_address(process, Path(log.name)), process)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        if found := re.search(r"running on (https?://\S+)", log.read_text(encoding="utf-8")):
            return found[1]
        time.sleep(0.05)
    raise SystemExit(f"the server did not start:\n{log.read_text(encoding='utf-8')}")
