"""Weights of other projects in our networks: the same names and shapes, under prefixes that depend on who saved them.

What a checkpoint cannot tell (channel order, stride placement, codec, keypoint names) is never guessed here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from model_export.checkpoint_reading import Weights, read_weights
from model_export.errors import WeightsError

_WRAPPER = "module."  # DataParallel's, and that of a moving average
# mmpose's: `head.` since its version 1, `keypoint_head.` before.
_PART_PREFIXES = ("backbone.", "head.", "keypoint_head.")
_COUNTER = "num_batches_tracked"


class Match(NamedTuple):
    """How the entries of a file and of a network meet.

    Attributes:
        weights: entries that fit, under the network's names.
        missing: entries of the network that the file does not hold. Batch norm's counters are not named: torch before
            0.4.1 had none, and with a constant momentum nothing depends on them.
        unexpected: entries of the file that the network does not have.
        misshapen: entries that both have, with both shapes.
    """

    weights: Weights
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    def describe_rest(self) -> str:
        """All that does not meet, in one line; empty where everything does."""
        kinds = {
            "not in the file": self.missing,
            "not in the network": self.unexpected,
            "of another shape": self.misshapen,
        }
        return "; ".join(f"{len(names)} {kind}: {', '.join(names)}" for kind, names in kinds.items() if names)


def match_weights(file_weights: Weights, entries: Mapping[str, torch.Tensor], path: Path) -> Match:
    """Find each entry of a file among the state entries of a network.

    Raises:
        WeightsError: two entries of the file are the same entry of the network.
    """
    weights: Weights = {}
    source: dict[str, str] = {}
    unexpected, misshapen = [], []
    for key, entry in file_weights.items():
        name = next((name for name in _names_without_prefixes(key) if name in entries), None)
        if name is None:
            unexpected.append(key)
            continue
        if name in source:
            raise WeightsError(f"checkpoint {path}: {source[name]} and {key} are both {name} of the network")
        source[name] = key
        if entry.shape == entries[name].shape:
            weights[name] = entry
        else:
            misshapen.append(f"{key} (file {list(entry.shape)}, network {list(entries[name].shape)})")
    missing = tuple(name for name in entries if name not in source and not name.endswith(_COUNTER))
    return Match(weights, missing, tuple(unexpected), tuple(misshapen))


def load_published_weights(network: nn.Module, path: Path) -> None:
    """Fill a network with a checkpoint of another project; everything must meet.

    Raises:
        WeightsError: the file cannot be read, or any entry of file or network is without its counterpart; all of them
            are named.
    """
    match = match_weights(read_weights(path), network.state_dict(), path)
    if rest := match.describe_rest():
        raise WeightsError(f"checkpoint {path} does not fit the network: {rest}")
    network.load_state_dict(match.weights, strict=False)


def match_initial_weights(network: nn.Module, path: Path) -> Match:
    """What a training run may start from: the entries of a checkpoint that fit, say those of an ImageNet backbone.

    Raises:
        WeightsError: the file cannot be read, or none of its entries fits.
    """
    match = match_weights(read_weights(path), network.state_dict(), path)
    if all(name.endswith(_COUNTER) for name in match.weights):
        raise WeightsError(f"checkpoint {path}: none of its entries fits the network: {match.describe_rest()}")
    return match


def _names_without_prefixes(key: str) -> Iterator[str]:
    while key.startswith(_WRAPPER):
        key = key.removeprefix(_WRAPPER)
    yield key
    for prefix in _PART_PREFIXES:
        if key.startswith(prefix):
            yield key.removeprefix(prefix)
            # mmpose before 1.0 could wrap its single last layer.
            yield key.removeprefix(prefix).replace("final_layer.0.", "final_layer.")
