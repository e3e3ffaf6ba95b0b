"""The paper's Figs. 3 to 5: samples with prediction, label and the difficulty over the epochs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from service.contract.crop_transform import ImageHW3

_SMOOTHING_SHARE = 0.03  # of the epochs: the Gaussian's deviation
_LEAST_SMOOTHING = 1.0  # epochs


class DrawnSample(NamedTuple):
    """A sample to draw: its crop, points in crop pixels and the difficulty of each epoch (NaN: not seen)."""

    crop_HW3: ImageHW3
    found_K2: NDArray[np.float64]
    labelled_K2: NDArray[np.float64]
    visible_K: NDArray[np.bool_]
    difficulty_E: NDArray[np.float32]


def draw_trajectories(
    path: Path,
    easy: Sequence[DrawnSample],
    hard: Sequence[DrawnSample],
    skeleton: Sequence[tuple[int, int]],
    title: str,
) -> None:
    """Easy samples on the left, hard ones on the right; each line: crop, prediction, label, difficulty over epochs.

    As in the paper the curves are smoothed by a Gaussian, the raw ones stand behind them.
    """
    lines = max(len(easy), len(hard))
    figure = Figure(figsize=(15, 2.0 * lines + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, 8, squeeze=False, width_ratios=[1, 1, 1, 1.6] * 2)
    figure.suptitle(title)
    for first_column, samples, side in ((0, easy, "easy"), (4, hard, "hard")):
        for line in range(lines):
            of_sample = panels[line, first_column : first_column + 4]
            if line < len(samples):
                _draw_sample(list(of_sample), samples[line], skeleton)
            else:
                for panel in of_sample:
                    panel.set_axis_off()
        for panel, heading in zip(
            panels[0, first_column : first_column + 4], (side, "prediction", "label", "difficulty"), strict=True
        ):
            panel.set_title(heading, fontsize=9)
    partial = path.with_name(f"{path.name}.partial")
    figure.savefig(partial, format="png", dpi=80)
    partial.replace(path)


def _draw_sample(panels: Sequence[Axes], sample: DrawnSample, skeleton: Sequence[tuple[int, int]]) -> None:
    height, width = sample.crop_HW3.shape[:2]
    everywhere = np.ones_like(sample.visible_K)
    for panel, points, shown in (
        (panels[0], None, None),
        (panels[1], sample.found_K2, everywhere),
        (panels[2], sample.labelled_K2, sample.visible_K),
    ):
        panel.imshow(sample.crop_HW3)
        panel.set_axis_off()
        if points is not None and shown is not None:
            for first, second in skeleton:
                if shown[first] and shown[second]:
                    panel.plot(*points[[first, second]].T, color="white", linewidth=0.8)
            x, y = points[shown].T
            panel.scatter(x, y, c=np.arange(len(points))[shown], s=14, cmap="hsv", edgecolors="black")
            panel.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    seen = np.isfinite(sample.difficulty_E)
    epochs = np.flatnonzero(seen) + 1
    (raw,) = panels[3].plot(epochs, sample.difficulty_E[seen], alpha=0.35)
    smoothing = max(_LEAST_SMOOTHING, _SMOOTHING_SHARE * len(sample.difficulty_E))
    panels[3].plot(epochs, gaussian_filter1d(sample.difficulty_E[seen], smoothing), color=raw.get_color())
    panels[3].set(ylim=(-0.02, 1.02))
