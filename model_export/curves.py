"""The curves of a run as a picture."""

import math

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from model_export.epoch_record import followed_figures
from model_export.run_folder import RunFolder

CURVES_FILE = "curves.png"


def draw_curves(run: RunFolder) -> None:
    """Draw `curves.png` from the run's metrics: loss, validation error, difficulty, its correlation with the loss."""
    records = run.read_metrics()
    epochs = [record["epoch"] + 1 for record in records]
    validated = [(record["epoch"] + 1, followed_figures(record)) for record in records if followed_figures(record)]
    figure = Figure(figsize=(10, 6), layout="constrained")
    FigureCanvasAgg(figure)
    (loss, error), (score, correlation) = figure.subplots(2, 2, sharex=True)

    loss.plot(epochs, [record["base_loss"] for record in records])
    loss.set(title="base loss (training, unweighted)", yscale="log")
    # The first figure of the metric that the recipe puts first; a gap where there was nothing to measure.
    followed = next(iter(validated[0][1]), "") if validated else ""
    values = [math.nan if figures[followed] is None else figures[followed] for _, figures in validated]
    error.plot([epoch for epoch, _ in validated], values, marker=".")
    error.set(title=f"{followed} on the validation split")
    mean = [record["difficulty_mean"] for record in records]
    spread = [record["difficulty_spread"] for record in records]
    score.plot(epochs, mean)
    low, high = ([m + sign * s for m, s in zip(mean, spread, strict=True)] for sign in (-1, 1))
    score.fill_between(epochs, low, high, alpha=0.25)
    score.set(title="difficulty, mean ± spread", ylim=(0, 1.02), xlabel="epoch")
    correlation.plot(epochs, [record["difficulty_loss_correlation"] for record in records])
    correlation.axhline(0, color="grey", linewidth=0.5)
    correlation.set(title="correlation of difficulty with base loss, within batches", ylim=(-1, 1), xlabel="epoch")

    partial = run.path / f"{CURVES_FILE}.partial"
    figure.savefig(partial, format="png", dpi=110)
    partial.replace(run.path / CURVES_FILE)
