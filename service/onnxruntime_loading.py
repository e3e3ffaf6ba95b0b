"""Importing onnxruntime: exactly one of its two distributions, telemetry off, and only when it is needed."""

import importlib
import os
from collections.abc import Set as AbstractSet
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from service.errors import StartupError

# The messages name the folder, not the package: `focalpoint` on the public package index is somebody else's.
DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu")


def import_onnxruntime() -> Any:
    """The module `onnxruntime`.

    Raises:
        StartupError: none or both of its distributions are installed; the sentence says what to do.
    """
    check_distributions({name for name in DISTRIBUTIONS if _is_installed(name)})
    # Read by the wheel at import: without it, official wheels send the model's name and providers to their maker.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    return importlib.import_module("onnxruntime")


def check_distributions(installed: AbstractSet[str]) -> None:
    """Refuse none (nothing to run on) and both (they overwrite each other's files, and CUDA vanishes).

    Raises:
        StartupError: what to install or remove.
    """
    if not installed:
        raise StartupError(
            "onnxruntime is not installed: in Focalpoint's folder, pip install '.[cpu]', or '.[gpu]' for an NVIDIA GPU"
        )
    if len(installed) > 1:
        raise StartupError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "pip uninstall onnxruntime onnxruntime-gpu, then, in Focalpoint's folder, pip install '.[cpu]' or '.[gpu]'"
        )


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
