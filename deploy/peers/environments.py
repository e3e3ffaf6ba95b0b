"""The environments of the peers: one each, below `runs/peers`, never the project's own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "runs" / "peers"

_INSTALL_SECONDS = 1200
_VERSION = "import importlib.metadata, sys; sys.stdout.write(importlib.metadata.version(sys.argv[1]))"


class NotInstalledError(Exception):
    """A peer that this machine cannot have; the message says what pip said."""


def requirements_of(name: str) -> Path:
    """The pinned packages of a peer."""
    return Path(__file__).resolve().parent / name / "requirements.txt"


def install(name: str) -> Path:
    """The interpreter of a peer's environment, which is made where it is missing or its requirements have changed.

    Raises:
        NotInstalledError: it cannot be made.
    """
    folder, wanted = RUNS / name / ".venv", requirements_of(name).read_text(encoding="utf-8")
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    if installed.is_file() and installed.read_text(encoding="utf-8") == wanted:
        return python
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements_of(name))],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotInstalledError(str(error)) from error
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()]
            raise NotInstalledError(said[0][:200])
    installed.write_text(wanted, encoding="utf-8")
    return python


def version_of(python: Path, package: str) -> str:
    """The version of a package in an environment.

    Raises:
        NotInstalledError: it is not there.
    """
    done = subprocess.run([str(python), "-c", _VERSION, package], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalledError(f"{package} is not in {python.parent.parent}")
    return done.stdout
