"""The pictures of a comparison: training curves with their range over the seeds, and the differences."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from model_export.comparison.differences import Row
from model_export.epoch_record import EpochRecord, followed_figures

_MOST_PANELS = 6
_LONGEST_NAME = 24


def draw_training_curves(path: Path, arms: Mapping[str, Sequence[Sequence[EpochRecord]]]) -> None:
    """Base loss, followed figure and mean difficulty over the epochs: mean over the seeds, band from least to greatest.

    Args:
        path: PNG to write.
        arms: for each the records of its runs, all of the same epochs.
    """
    figure, (loss, followed, difficulty) = _panels(3)
    for name, runs in arms.items():
        epochs = [record["epoch"] + 1 for record in runs[0]]
        _draw_band(loss, _short(name), epochs, [[record["base_loss"] for record in run] for run in runs])
        _draw_band(difficulty, name, epochs, [[record["difficulty_mean"] for record in run] for run in runs])
        validated = [[(r["epoch"] + 1, followed_figures(r)) for r in run if followed_figures(r)] for run in runs]
        metric = next(iter(validated[0][0][1]))
        values = [[_or_gap(found[metric]) for _, found in run] for run in validated]
        _draw_band(followed, name, [epoch for epoch, _ in validated[0]], values)
        followed.set(title=f"{metric} on the validation split", xlabel="epoch")
    loss.set(title="base loss (training, unweighted)", xlabel="epoch", yscale="log")
    difficulty.set(title="mean difficulty", xlabel="epoch", ylim=(0, 1.02))
    loss.legend(fontsize="small")
    _save(figure, path)


def draw_differences(path: Path, rows: Sequence[Row]) -> None:
    """A panel for each of the first figures: a dot for each seed, and the mean with its t interval over seeds.

    Args:
        path: PNG to write.
        rows: of the comparison.
    """
    compared = [row for row in rows if row.difference is not None]
    metrics = list(dict.fromkeys(row.figure.metric for row in compared))[:_MOST_PANELS]
    figure, panels = _panels(len(metrics))
    for panel, metric in zip(panels, metrics, strict=True):
        of_metric = [row for row in compared if row.figure.metric == metric]
        scale, unit = (100, "points") if of_metric[0].figure.unit == "share" else (1, of_metric[0].figure.unit)
        for place, row in enumerate(of_metric):
            assert row.difference is not None
            low, high = (scale * end for end in row.difference.t_over_seeds)
            panel.plot([low, high], [place, place], color="black", linewidth=1)
            panel.plot(scale * row.difference.mean, place, "|", color="black", markersize=12)
            by_seed = scale * np.array(row.difference.by_seed_R)
            panel.plot(by_seed, np.full(len(by_seed), place), "o", alpha=0.5)
        panel.axvline(0, color="grey", linewidth=0.5)
        panel.set(
            yticks=range(len(of_metric)),
            yticklabels=[_short(row.arm) for row in of_metric],
            ylim=(len(of_metric) - 0.5, -0.5),
        )
        panel.set(title=metric, xlabel=f"difference to {rows[0].arm}, {unit}")
    _save(figure, path)


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    columns = min(count, 3)
    lines = math.ceil(count / columns)
    figure = Figure(figsize=(4.5 * columns, 3 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for unused in panels[count:]:
        unused.set_axis_off()
    return figure, list(panels[:count])


def _draw_band(panel: Axes, name: str, epochs: Sequence[int], values_RE: Sequence[Sequence[float]]) -> None:
    values = np.array(values_RE)
    (line,) = panel.plot(epochs, values.mean(axis=0), label=name)
    panel.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=line.get_color(), alpha=0.2)


def _short(name: str) -> str:
    """Its end: a long one would leave a panel no room."""
    return name if len(name) <= _LONGEST_NAME else f"...{name[-_LONGEST_NAME:]}"


def _or_gap(value: float | None) -> float:
    return math.nan if value is None else value


def _save(figure: Figure, path: Path) -> None:
    partial = path.with_name(f"{path.name}.partial")
    figure.savefig(partial, format="png", dpi=110)
    partial.replace(path)
