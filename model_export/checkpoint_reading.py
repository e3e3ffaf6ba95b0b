"""The weights in a checkpoint file, read without running anything that the file may hold."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model_export.errors import WeightsError

Weights = dict[str, torch.Tensor]

# Where training programs put the weights in what they save: most of them, some, and a run of our own (the averaged
# weights). `model` may also be the network's name, as in the checkpoints of HRNet's authors.
_PLACES = ("state_dict", "model", "averaged")
_AVERAGE_COUNTER = "n_averaged"
# torch's own sentences advise to read such a file with all that it may run.
_REFUSED = re.compile(r"GLOBAL [\w.]+|[Uu]nsupported operand \d+")


def read_weights(path: Path) -> Weights:
    """The state entries in a file that torch saved: bare, or in a checkpoint that holds more.

    Raises:
        WeightsError: it cannot be read, asks for more than tensors and plain values, holds no state entries, or one of
            them is not finite.
    """
    found = _load(path)
    if not isinstance(found, dict):
        raise WeightsError(f"checkpoint {path}: expected a mapping of state entries, found a {type(found).__name__}")
    place = next((key for key in _PLACES if isinstance(found.get(key), dict)), None)
    entries = found if place is None else found[place]
    if place == "averaged":
        entries = {key: entry for key, entry in entries.items() if key != _AVERAGE_COUNTER}
    strange = [str(key) for key, entry in entries.items() if not isinstance(entry, torch.Tensor)]
    if strange or not entries:
        where = f" under {place}" if place else f", or more under one of {', '.join(_PLACES)}"
        raise WeightsError(
            f"checkpoint {path}: expected tensors by name{where}, found {', '.join(strange[:8]) or 'nothing'}"
        )
    for key, entry in entries.items():
        if entry.layout != torch.strided or entry.is_quantized or entry.is_complex():
            raise WeightsError(f"checkpoint {path}: entry {key} is not a plain tensor of real numbers")
        if not bool(torch.isfinite(entry).all()):
            raise WeightsError(f"checkpoint {path}: entry {key} holds numbers that are not finite")
    return {str(key): entry for key, entry in entries.items()}


def _load(path: Path) -> Any:
    if not path.is_file():
        raise WeightsError(f"checkpoint {path}: there is no such file")
    try:
        # Training checkpoints hold the best score as a NumPy number, which torch does not count among plain values.
        with torch.serialization.safe_globals(_numpy_numbers()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats and storages that torch has given up since
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"checkpoint {path}: expected nothing but tensors and plain values saved by torch, found {_fault(error)}"
        ) from error


def _fault(error: Exception) -> str:
    refused = _REFUSED.search(str(error))
    if refused:
        return refused[0]
    if isinstance(error, RuntimeError):
        return "a file that is cut short or no such archive: " + re.split(r"\.\s|\n", str(error))[0]
    return f"something else ({type(error).__name__})"


def _numpy_numbers() -> list[Any]:
    # torch compares names: NumPy moved the function in its version 2.
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(kind)) for kind in ("f8", "f4", "i8", "i4", "?")]
    return [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")] + [np.dtype, *kinds]
