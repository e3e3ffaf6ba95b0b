"""The score history of a run: what each training sample's difficulty, loss and error were in each epoch.

One small file for each epoch, `difficulty_history/0000.npz` and so on, so that the cost of an epoch does not grow with
the epochs before it. Samples are known by their place in the training list alone.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model_export.errors import RunError

HISTORY_FOLDER = "difficulty_history"
COLUMNS = ("difficulty", "base_loss", "error_in_crop_pixels", "missing_keypoints")

Values = NDArray[np.float32]


class DifficultyHistory(NamedTuple):
    """E epochs, S training samples in the order of `training_samples`; NaN where an epoch left a sample out.

    Attributes:
        epochs_E: counted from zero.
        difficulty_ES: one in the vanilla arm.
        base_loss_ES: unweighted.
        error_in_crop_pixels_ES: mean distance of the visible keypoints from their labels.
        missing_keypoints_ES: how many of the crop's keypoints were not visible.
    """

    epochs_E: NDArray[np.int64]
    difficulty_ES: Values
    base_loss_ES: Values
    error_in_crop_pixels_ES: Values
    missing_keypoints_ES: Values


def empty_epoch(sample_count: int, device: torch.device) -> torch.Tensor:
    """An epoch of which nothing is known yet: NaN (4, S), a row for each of `COLUMNS`."""
    return torch.full((len(COLUMNS), sample_count), torch.nan, device=device)


def write_epoch(run_path: Path, epoch: int, values_4S: torch.Tensor) -> None:
    """Write one epoch's file into a run folder, in the place of one of a run cut short."""
    folder = run_path / HISTORY_FOLDER
    folder.mkdir(exist_ok=True)
    partial = folder / f"{epoch:04d}.partial"
    with partial.open("wb") as file:
        np.savez_compressed(file, **dict(zip(COLUMNS, values_4S.cpu().numpy(), strict=True)))
    partial.replace(folder / f"{epoch:04d}.npz")


def read_history(run_path: Path, epochs: int) -> DifficultyHistory:
    """The first `epochs` epochs of a run; those that are done, not what a run that was cut short left behind them.

    Raises:
        RunError: an epoch's file is missing or cannot be read.
    """
    found = [_read_epoch(run_path / HISTORY_FOLDER / f"{epoch:04d}.npz") for epoch in range(epochs)]
    values = np.stack(found, axis=1) if found else np.empty((len(COLUMNS), 0, 0), np.float32)
    return DifficultyHistory(np.arange(epochs), *values)


def _read_epoch(path: Path) -> Values:
    try:
        with np.load(path) as file:
            return np.stack([file[name] for name in COLUMNS])
    except (OSError, KeyError, ValueError) as error:
        raise RunError(f"{path} is no epoch's score history: {error}") from error
