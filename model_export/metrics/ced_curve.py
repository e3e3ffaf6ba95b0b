"""The cumulative error distribution as a picture."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from model_export.metrics.predictions import FloatArray


def draw_ced(path: Path, errors_S: FloatArray, greatest_error: float, title: str, normaliser: str) -> None:
    """Draw CED(e), the share of samples with NME <= e, from 0 to `greatest_error` as a PNG.

    Args:
        path: of the PNG.
        errors_S: NME of each sample as a share; infinite counts as never reached.
        greatest_error: right end of the horizontal axis.
        title: above the curve.
        normaliser: named on the horizontal axis.
    """
    known = np.sort(errors_S[np.isfinite(errors_S)])
    steps = np.concatenate([[0.0], known, [max(greatest_error, known[-1] if known.size else 0.0)]])
    shares = np.concatenate([np.arange(known.size + 1), [known.size]]) / max(len(errors_S), 1)
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.step(steps, shares, where="post")
    axes.set(
        title=title,
        xlabel=f"NME, {normaliser}",
        ylabel="share of samples",
        xlim=(0, greatest_error),
        ylim=(0, 1),
    )
    axes.grid(visible=True, alpha=0.3)
    figure.savefig(path, format="png", dpi=110)
