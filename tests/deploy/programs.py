"""The programs that the checks of the deployment call. What is missing skips its check, by name."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
AT_LENGTH = os.environ.get("FOCALPOINT_DEPLOY") == "1"


def only_at_length() -> None:
    """Skip what builds images and starts containers, but for `make deploy-check`."""
    if not AT_LENGTH:
        pytest.skip("builds images and starts containers: make deploy-check (FOCALPOINT_DEPLOY=1)")


def program(name: str) -> str:
    """The path of a program, from this environment or the system; a skip where it is not installed."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(command: Sequence[str], timeout: float = 120, environment: Mapping[str, str] | None = None) -> str:
    """Standard output of a program that must end with code 0, run in the repository's folder."""
    ended = subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout
