"""False negatives at several contrasts, the paper's Table 3: `python -m model_export.false_negatives RUN RUN ...`.

A labelled keypoint is a false negative where its heatmap responds nowhere above a threshold: to the paper it is
missing then (section 2). Where the peak lies does not matter.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from model_export.comparison.differences import MeasuredRun, comparison_rows
from model_export.comparison.report import table
from model_export.comparison.run_groups import group_runs
from model_export.comparison.sample_sums import SampleSums
from model_export.data.dataset import CropSample, ValidationCrops
from model_export.data.loading import loaded
from model_export.data.splits import validation_samples
from model_export.errors import TrainingInputError
from model_export.finished_run import averaged_network, finished_state
from model_export.heatmap_decoding import read_maps
from model_export.image_normalisation import normalise
from model_export.metrics.figures import Figure
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder

# The paper shows its four contrasts as pictures only; these are ours.
CONTRASTS = {"higher": 1.5, "high": 1.25, "low": 0.75, "lower": 0.5}
_BATCH = 32


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table of false negatives of each arm at each contrast, with the differences to the first arm."""
    parser = argparse.ArgumentParser(description="False negatives by heatmap response at four contrasts.")
    parser.add_argument("runs", type=Path, nargs="+", help="finished runs; those that differ only by seed are an arm")
    parser.add_argument("--threshold", type=float, default=0.1, help="response that counts; an ideal peak is 1")
    chosen = parser.parse_args(arguments)
    try:
        arms, _ = group_runs(chosen.runs)
        seeds = sorted(next(iter(arms.values())))
        measured = {name: [_measure(runs[seed], chosen.threshold) for seed in seeds] for name, runs in arms.items()}
    except TrainingInputError as error:
        sys.exit(f"focalpoint: {error}")
    print("\n".join(table(comparison_rows(measured))))  # noqa: T201


def change_contrast(crops_NHW3: torch.Tensor, factor: float) -> torch.Tensor:
    """Crops (N, H, W, 3) uint8 whose grey levels are moved from their crop's mean to `factor` times their distance."""
    levels = crops_NHW3.float()
    mean = levels.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + factor * (levels - mean)).round().clamp(0, 255).to(torch.uint8)


def missed_keypoints(
    network: nn.Module, batch: CropSample, recipe: Recipe, contrast: float, threshold: float
) -> torch.Tensor:
    """Which labelled keypoints (N, K) the network has no response above the threshold for."""
    images = normalise(change_contrast(batch["crop"], contrast), recipe.input.channel_order)
    with torch.inference_mode():
        heatmaps = read_maps(network(images), recipe.keypoint_codec).heatmaps_NKhw
    return (heatmaps.amax(dim=(2, 3)) <= threshold) & batch["visible"]


def _measure(run: RunFolder, threshold: float) -> MeasuredRun:
    recipe = run.recipe()
    network = averaged_network(recipe, finished_state(run, recipe))
    crops = ValidationCrops(validation_samples(recipe), recipe.input)
    missed: dict[str, list[float]] = {name: [] for name in CONTRASTS}
    labelled: list[float] = []
    for batch in loaded(DataLoader(crops, _BATCH)):
        labelled += batch["visible"].sum(dim=1).tolist()
        for name, factor in CONTRASTS.items():
            missed[name] += missed_keypoints(network, batch, recipe, factor, threshold).sum(dim=1).tolist()
    sums = {
        f"false negatives, {name} contrast (x {CONTRASTS[name]:g})": SampleSums(np.array(values), np.array(labelled))
        for name, values in missed.items()
    }
    convention = f"share of {sum(labelled):.0f} labelled keypoints without a response above {threshold:g}"
    figures = [Figure(name, of.ratio, "share", convention, len(labelled), 0) for name, of in sums.items()]
    return MeasuredRun(figures, sums, str(recipe.data))


if __name__ == "__main__":
    main()
