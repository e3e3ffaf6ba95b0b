"""Table 4 on digits: `python -m model_export.classification`."""

import argparse
import time
from collections.abc import Sequence

import numpy as np
import torch

from model_export.classification.arms import ARMS
from model_export.classification.digits import Digits, load_halves
from model_export.classification.training import Answers, train_arm
from model_export.comparison.differences import MeasuredRun, comparison_rows
from model_export.comparison.report import table
from model_export.comparison.sample_sums import SampleSums
from model_export.metrics.figures import Figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Train all arms on the same seeds and print the table of their differences, and what the difficulties did."""
    parser = argparse.ArgumentParser(description="AFL, focal loss and controls on scikit-learn's digits.")
    parser.add_argument("--seeds", type=int, default=5, help="of each arm, counted from 0; at least 2")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--imbalance", type=float, default=1.0, help="training pictures of the digit 0 for one of 9")
    chosen = parser.parse_args(arguments)
    if chosen.seeds < 2 or chosen.epochs < 1 or chosen.imbalance < 1:
        parser.error("expected at least two seeds, one epoch and an imbalance of 1")
    digits = load_halves(chosen.imbalance)
    started = time.perf_counter()
    answers = {
        name: [train_arm(digits, arm, seed, chosen.epochs) for seed in range(chosen.seeds)]
        for name, arm in ARMS.items()
    }
    seconds = (time.perf_counter() - started) / (len(ARMS) * chosen.seeds)
    print(_describe(digits, answers, chosen.epochs, seconds))  # noqa: T201


def _describe(digits: Digits, answers: dict[str, list[Answers]], epochs: int, seconds: float) -> str:
    rows = comparison_rows({name: [_measured(one) for one in of_arm] for name, of_arm in answers.items()})
    lines = [
        f"{len(digits.training.classes_N)} training and {len(digits.test.classes_N)} test pictures, {epochs} epochs, "
        f"{torch.get_num_threads()} threads, {seconds:.1f} s a run",
        "",
        *table(rows),
        "",
        "| arm | mean difficulty, first and last epoch | its correlation with cross entropy within batches, the same |",
        "|---|---|---|",
    ]
    for name, of_arm in answers.items():
        if ARMS[name].adversarial:
            cells = []
            for field in ("difficulty_E", "correlation_E"):
                first, last = (sum(getattr(one, field)[place] for one in of_arm) / len(of_arm) for place in (0, -1))
                cells.append(f"{first:+.2f}, {last:+.2f}")
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _measured(answers: Answers) -> MeasuredRun:
    count = len(answers.correct_S)
    values = {
        ("top-1 accuracy", "share"): answers.correct_S.astype(np.float64),
        ("cross entropy", "nats"): answers.cross_entropy_S,
    }
    figures = [
        Figure(name, float(value.mean()), unit, "mean over the test samples", count, 0)
        for (name, unit), value in values.items()
    ]
    sums = {name: SampleSums(value, np.ones(count)) for (name, _), value in values.items()}
    return MeasuredRun(figures, sums, "the second half of the digits")


if __name__ == "__main__":
    main()
