"""What a conversion cost: the figures of both bundles side by side."""

from typing import NamedTuple

import numpy as np

from model_export.evaluate import Evaluated, Report


class Comparison(NamedTuple):
    """Two bundles on the same samples and boxes.

    Attributes:
        before, after: their reports, with the same figures in the same order.
        mean_moved, most_moved: distance between the places that both answer for a keypoint, in image pixels.
    """

    before: Report
    after: Report
    mean_moved: float
    most_moved: float


def compare(before: Evaluated, after: Evaluated) -> Comparison:
    """Compare two evaluations with one box for each sample."""
    places = before.predictions.found_SK2, after.predictions.found_SK2
    assert places[0] is not None
    assert places[1] is not None
    moved = np.linalg.norm(places[1] - places[0], axis=-1)
    return Comparison(before.report, after.report, float(moved.mean()), float(moved.max()))


def comparison_table(found: Comparison, target: str) -> str:
    """A table in Markdown, and a line below it."""
    rows = [
        f"| {old.metric} | {old.text} | {new.text} | {_change(old.value, new.value, old.unit)} | {old.convention} |"
        for old, new in zip(found.before.figures, found.after.figures, strict=True)
    ]
    return "\n".join(
        [
            f"| metric | float32 | {target} | change | convention |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"{found.after.samples} samples, {found.after.box_protocol}. Keypoints moved by {found.mean_moved:.2g} "
            f"image pixels on the average, {found.most_moved:.2g} at most.",
        ]
    )


def _change(before: float, after: float, unit: str) -> str:
    return f"{100 * (after - before):+.3f} points" if unit == "share" else f"{after - before:+.3f} {unit}"
