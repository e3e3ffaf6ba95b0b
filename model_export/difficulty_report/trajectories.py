"""The paper's Figs. 3 to 5: samples with label, prediction and the difficulty over the epochs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from model_export.difficulty_report.points_panel import LABEL, PREDICTION, draw_points, legend_entry
from service.contract.crop_transform import ImageHW3

_CURVE, _EVERYONE = "#0b5394", "#8a8a8a"
_MIDDLE_PERCENT = (10, 90)  # of all samples, drawn as a band
_SMOOTHING_SHARE = 0.03  # of the epochs: the Gaussian's deviation
_LEAST_SMOOTHING = 1.0  # epochs
_WIDTH_INCHES, _DOTS_PER_INCH = 10.0, 100  # about the width of a page of docs, which then shows every pixel
_TEXT = 9.0  # points


class DrawnSample(NamedTuple):
    """A sample to draw.

    Attributes:
        crop_HW3: what the network sees.
        found_K2: the finished network's prediction, crop pixels.
        labelled_K2: crop pixels.
        visible_K: which keypoints have a label.
        difficulty_E: of each epoch; NaN where it left the sample out.
        mean_difficulty: by which the sample was chosen.
        label_is_wrong: on purpose.
    """

    crop_HW3: ImageHW3
    found_K2: NDArray[np.float64]
    labelled_K2: NDArray[np.float64]
    visible_K: NDArray[np.bool_]
    difficulty_E: NDArray[np.float32]
    mean_difficulty: float
    label_is_wrong: bool


def draw_trajectories(
    path: Path,
    easy: Sequence[DrawnSample],
    hard: Sequence[DrawnSample],
    skeleton: Sequence[tuple[int, int]],
    difficulty_ES: NDArray[np.float32],
    title: str,
) -> None:
    """Easy samples on the left, hard ones on the right; each line: label, prediction, difficulty over the epochs.

    As in the paper the curves are smoothed by a Gaussian, the raw ones stand behind them. Its bare picture is left
    out, for open marks let it be seen under the label. Grey are the difficulties of all samples, `difficulty_ES`.
    """
    lines = max(len(easy), len(hard), 1)
    figure = Figure(figsize=(_WIDTH_INCHES, 1.65 * lines + 1.3), dpi=_DOTS_PER_INCH, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=_TEXT + 2)
    left, right = figure.subfigures(1, 2, wspace=0.04, squeeze=False)[0]
    for side, samples, heading in ((left, easy, "Easiest"), (right, hard, "Hardest")):
        side.suptitle(heading, fontsize=_TEXT + 2, fontweight="bold")
        _draw_side(side, samples, lines, skeleton, difficulty_ES)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=5, fontsize=_TEXT, frameon=False)
    _write_opaque(path, canvas)


def _write_opaque(path: Path, canvas: FigureCanvasAgg) -> None:
    """Write a PNG without the alpha that matplotlib writes, which is a tenth of the file."""
    canvas.draw()  # type: ignore[no-untyped-call]
    rgba_HW4 = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture_HW3 = cv2.cvtColor(rgba_HW4, cv2.COLOR_RGBA2BGR)
    written, encoded = cv2.imencode(".png", picture_HW3, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert written
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(encoded.tobytes())
    partial.replace(path)


def _draw_side(
    side: SubFigure,
    samples: Sequence[DrawnSample],
    lines: int,
    skeleton: Sequence[tuple[int, int]],
    difficulty_ES: NDArray[np.float32],
) -> None:
    panels_L3 = side.subplots(lines, 3, squeeze=False, width_ratios=[1, 1, 1.1])
    for panel in panels_L3[len(samples) :].flat:
        panel.set_axis_off()
    for line, (sample, (label, prediction, curve)) in enumerate(zip(samples, panels_L3, strict=False)):
        everywhere_K = np.ones_like(sample.visible_K)
        draw_points(label, sample.crop_HW3, sample.labelled_K2, sample.visible_K, skeleton, LABEL)
        draw_points(prediction, sample.crop_HW3, sample.found_K2, everywhere_K, skeleton, PREDICTION)
        _draw_difficulty(curve, sample.difficulty_E, difficulty_ES)
        texts = ("wrong on purpose" if sample.label_is_wrong else " ", _error(sample), f"{sample.mean_difficulty:.2f}")
        for panel, heading, text in zip(
            (label, prediction, curve), ("label", "prediction", "difficulty"), texts, strict=True
        ):
            panel.set_title(f"{heading}\n{text}" if line == 0 else text, fontsize=_TEXT, pad=3)
        last = line == len(samples) - 1
        curve.tick_params(labelsize=_TEXT - 1, labelbottom=last)
        curve.set_xlabel("epoch" if last else "", fontsize=_TEXT)


def _error(sample: DrawnSample) -> str:
    distances = np.linalg.norm(sample.found_K2 - sample.labelled_K2, axis=1)[sample.visible_K]
    return f"{distances.mean():.1f} px off" if len(distances) else "no label"


def _draw_difficulty(panel: Axes, difficulty_E: NDArray[np.float32], difficulty_ES: NDArray[np.float32]) -> None:
    epochs = np.arange(1, len(difficulty_E) + 1)
    low_E, high_E = np.nanpercentile(difficulty_ES, _MIDDLE_PERCENT, axis=1)
    panel.fill_between(epochs, low_E, high_E, color=_EVERYONE, alpha=0.3, linewidth=0)
    panel.plot(epochs, np.nanmean(difficulty_ES, axis=1), color=_EVERYONE, linewidth=1, linestyle="--")
    seen = np.isfinite(difficulty_E)
    panel.plot(epochs[seen], difficulty_E[seen], color=_CURVE, linewidth=0.8, alpha=0.35)
    smoothing = max(_LEAST_SMOOTHING, _SMOOTHING_SHARE * len(difficulty_E))
    panel.plot(epochs[seen], gaussian_filter1d(difficulty_E[seen], smoothing), color=_CURVE, linewidth=1.8)
    panel.set(xlim=(1, max(2, len(difficulty_E))), ylim=(-0.02, 1.02), yticks=(0, 0.5, 1))
    panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    panel.grid(axis="y", alpha=0.3)


def _legend() -> list[Line2D | Patch]:
    return [
        legend_entry(LABEL),
        legend_entry(PREDICTION),
        Line2D([], [], color=_CURVE, linewidth=1.8, label="difficulty, smoothed"),
        Line2D([], [], color=_CURVE, linewidth=0.8, alpha=0.35, label="raw"),
        Patch(color=_EVERYONE, alpha=0.3, linewidth=0, label="all samples: middle 80 %, mean dashed"),
    ]
