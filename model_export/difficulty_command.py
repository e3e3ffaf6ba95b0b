"""`focalpoint difficulty`: what the difficulties of a finished run were, as figures and as correlations."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch.utils.data import DataLoader

from model_export.data.dataset import ValidationCrops
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.loading import loaded
from model_export.data.splits import corrupted_samples, training_samples
from model_export.difficulty_history import DifficultyHistory, read_history
from model_export.difficulty_report.label_errors import HARDEST_SHARE, find_wrong_labels
from model_export.difficulty_report.sample_means import SampleMeans, means_of_thirds, rank_correlation
from model_export.difficulty_report.trajectories import DrawnSample, draw_trajectories
from model_export.errors import RunError
from model_export.finished_run import averaged_network, finished_state
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder
from model_export.validation import predict
from service.contract.crop_transform import ImageHW3

EXTREMES_FILE, FAILURES_FILE, JSON_FILE = "easy_and_hard.png", "failures.png", "difficulty.json"
_FAILING_SHARE = 0.1  # of the samples: those with the greatest errors
_BATCH = 64


def run_difficulty(run_path: Path, output: Path | None, count: int) -> dict[str, Any]:
    """Draw the paper's Figs. 3 to 5 of a finished run and report what its difficulties go together with.

    Args:
        run_path: of the run.
        output: folder for `easy_and_hard.png`, `failures.png` and `difficulty.json`; None for RUN/difficulty.
        count: samples on each side of a figure.

    Raises:
        TrainingInputError: the run is not finished, was trained without AFL or has no score history, or its data is
            not there.
    """
    run = RunFolder(run_path)
    recipe = run.recipe()
    if not recipe.adversarial_focal.enabled:
        raise RunError(f"{run_path} was trained without AFL: every difficulty is one")
    state = finished_state(run, recipe)
    samples = training_samples(recipe)
    history = read_history(run_path, recipe.optimisation.epochs)
    if history.difficulty_ES.shape[1] != len(samples):
        raise RunError(
            f"{run_path} has the score history of {history.difficulty_ES.shape[1]} samples, "
            f"but its data has {len(samples)}"
        )
    thirds = means_of_thirds(history)
    report: dict[str, Any] = {"samples": len(samples), "rank_correlations": _correlations(thirds)}
    wrong_S = np.zeros(len(samples), bool)
    if recipe.data.corrupted_share:
        wrong_S = corrupted_samples(recipe)
        report["wrong_labels"] = _wrong_labels(thirds, wrong_S)
    folder = output or run_path / "difficulty"
    folder.mkdir(parents=True, exist_ok=True)
    network = averaged_network(recipe, state)
    _draw(folder, network, recipe, samples, history, thirds["last"], wrong_S, count)
    partial = folder / f"{JSON_FILE}.partial"
    partial.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    partial.replace(folder / JSON_FILE)
    Console(highlight=False, markup=False, soft_wrap=True).print("\n".join([*_describe(report), f"figures: {folder}"]))
    return report


def _correlations(thirds: dict[str, SampleMeans]) -> dict[str, dict[str, float | None]]:
    """Spearman's, over the samples, of each third's mean difficulty with its mean loss, error and missing keypoints."""
    return {
        third: {
            name: _finite(rank_correlation(means.difficulty_S, values))
            for name, values in (
                ("base_loss", means.base_loss_S),
                ("error_in_crop_pixels", means.error_in_crop_pixels_S),
                ("missing_keypoints", means.missing_keypoints_S),
            )
        }
        for third, means in thirds.items()
    }


def _wrong_labels(thirds: dict[str, SampleMeans], wrong_S: NDArray[np.bool_]) -> dict[str, Any]:
    """What the hardest tenth holds, by difficulty and by plain loss, each by its mean over a third of the epochs."""
    findings = {}
    for third, means in thirds.items():
        for ranking, hardness in (("difficulty", means.difficulty_S), ("base_loss", means.base_loss_S)):
            found = find_wrong_labels(hardness, wrong_S)
            findings[f"{ranking}, {third} third"] = {**found._asdict(), "area": _finite(found.area)}
    return findings


def _draw(
    folder: Path,
    network: torch.nn.Module,
    recipe: Recipe,
    samples: Sequence[KeypointSample],
    history: DifficultyHistory,
    last: SampleMeans,
    wrong_S: NDArray[np.bool_],
    count: int,
) -> None:
    known = np.flatnonzero(np.isfinite(last.difficulty_S))
    by_difficulty = known[last.difficulty_S[known].argsort()]
    failing = set(known[last.error_in_crop_pixels_S[known].argsort()][-max(2, round(_FAILING_SHARE * len(known))) :])
    failing_by_difficulty = np.array([index for index in by_difficulty if index in failing])
    for file, order, title in (
        (EXTREMES_FILE, by_difficulty, f"{recipe.name}: training samples"),
        (
            FAILURES_FILE,
            failing_by_difficulty,
            f"{recipe.name}: the tenth of the training samples that err most while training",
        ),
    ):
        half = min(count, len(order) // 2)
        chosen = [*order[:half], *order[::-1][:half]]
        crops = ValidationCrops([samples[index] for index in chosen], recipe.input)
        drawn = [
            DrawnSample(*shown, history.difficulty_ES[:, index], float(last.difficulty_S[index]), bool(wrong_S[index]))
            for shown, index in zip(_predictions(network, recipe, crops), chosen, strict=True)
        ]
        draw_trajectories(
            folder / file,
            drawn[:half],
            drawn[half:],
            recipe.keypoints.skeleton,
            history.difficulty_ES,
            f"{title}, by mean difficulty in the last third of the epochs",
        )


def _predictions(
    network: torch.nn.Module, recipe: Recipe, crops: ValidationCrops
) -> Iterator[tuple[ImageHW3, NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]]:
    """Each sample's crop, prediction and label (crop pixels), and which of its keypoints have one."""
    found_SK2 = predict(network, loaded(DataLoader(crops, _BATCH)), crops, recipe, (), torch.device("cpu")).found_SK2
    assert found_SK2 is not None
    for place, found_K2 in enumerate(found_SK2):
        crop = crops[place]
        labelled_K2 = crop["points_in_crop"].numpy().astype(np.float64)
        yield crop["crop"].numpy(), crops.transform(place).to_crop(found_K2), labelled_K2, crop["visible"].numpy()


def _describe(report: dict[str, Any]) -> list[str]:
    lines = [
        f"Rank correlation of difficulty over {report['samples']} training samples, means over a third of the epochs:",
        "",
        "| epochs | with base loss | with error | with missing keypoints |",
        "|---|---|---|---|",
    ]
    for third, found in report["rank_correlations"].items():
        cells = ("does not vary" if value is None else f"{value:+.2f}" for value in found.values())
        lines.append(f"| {third} third | {' | '.join(cells)} |")
    if "wrong_labels" in report:
        lines += [
            "",
            f"| hardest {HARDEST_SHARE:.0%} by | wrong labels among them | of all wrong labels | area under ROC |",
            "|---|---|---|---|",
        ]
        for ranking, of in report["wrong_labels"].items():
            shares = f"{of['found']} of {of['looked_at']} | {of['found'] / of['wrong']:.0%} of {of['wrong']}"
            lines.append(f"| {ranking} | {shares} | {of['area']:.2f} |")
    return lines


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
