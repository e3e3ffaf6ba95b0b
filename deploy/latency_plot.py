"""Latency over throughput, one curve for each picture and kind of load."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

_MARKERS = {"closed": "o", "open": "s"}


def check_plotting() -> None:
    """Raises:
    SystemExit: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401, PLC0415 - the service and its image do without it
    except ImportError as error:
        raise SystemExit(
            "--plot: expected matplotlib, found none; pip install '.[train]' in Focalpoint's folder"
        ) from error


def latency_plot(levels: Sequence[dict[str, Any]]) -> bytes:
    """A PNG: answers per second to the right, median (dashed) and 99th percentile (solid) upwards."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(xlabel="answers per second", ylabel="latency, ms", yscale="log")
    drawn = [one for one in levels if one["p50_ms"] is not None]
    for number, (picture, mode) in enumerate(dict.fromkeys((one["picture"], one["mode"]) for one in drawn)):
        curve = [one for one in drawn if (one["picture"], one["mode"]) == (picture, mode)]
        curve.sort(key=lambda one: float(one["requests_per_second"]) if mode == "open" else int(one["concurrency"]))
        rates = [one["requests_per_second"] for one in curve]
        colour, marker = f"C{number}", _MARKERS[mode]
        axes.plot(rates, [one["p50_ms"] for one in curve], color=colour, marker=marker, linestyle="--", alpha=0.6)
        label = f"{picture}, {mode} loop"
        axes.plot(rates, [one["p99_ms"] for one in curve], color=colour, marker=marker, label=label)
    axes.set_title("p99 solid, median dashed")
    axes.grid(visible=True, which="both", alpha=0.3)
    if drawn:
        axes.legend()
    written = BytesIO()
    figure.savefig(written, format="png", dpi=120)
    return written.getvalue()
