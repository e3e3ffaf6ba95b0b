"""Where and on what a measurement was made."""

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import server_counters

_PACKAGES = ("focalpoint", "onnxruntime", "onnxruntime-gpu", "numpy", "opencv-python-headless", "uvicorn", "uvloop")


def describe_run(url: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Machine, versions, model, date and command of a run.

    The versions are those beside the generator: of the server too where it runs from the same environment.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["deploy/benchmark.py", *arguments]),
        "machine": {
            "cores": cores(),
            "cpu": cpu_model(),
            "architecture": platform.machine(),
            "kernel": f"{platform.system()} {platform.release()}",
        },
        "versions": {"python": sys.version.split()[0], **installed_versions()},
        "model": _model(url),
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_model(information: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, as Linux has it."""
    if information.exists():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def installed_versions() -> dict[str, str]:
    """Versions of what serving speed depends on, where it is installed here."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _model(url: str) -> dict[str, str] | None:
    identity = server_counters.identity(server_counters.scrape(url))
    return None if identity is None else identity._asdict()
