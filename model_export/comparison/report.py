"""The report of a comparison, as Markdown and as JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from model_export.comparison.differences import Row
from model_export.comparison.intervals import RESAMPLES, Interval
from model_export.comparison.run_measurement import Measurement

CURVES_FILE = "curves.png"
DIFFERENCES_FILE = "differences.png"
_LOWER_IS_BETTER = ("NME", "FR@", "EPE", "MRE", "SD of", "cross entropy", "false negatives")
_FEW_SEEDS = 10


class ReportedRun(NamedTuple):
    """A run's arm, seed and command, and what was measured."""

    arm: str
    seed: int
    command: str
    measurement: Measurement


class Comparison(NamedTuple):
    """All that a report says.

    Attributes:
        title: what was compared.
        arms: what each changes, in words.
        rows: the table, see `differences`.
        runs: all arms and seeds.
        circumstances: of the measurement: versions, machine, date, and how many ran side by side.
    """

    title: str
    arms: Mapping[str, str]
    rows: Sequence[Row]
    runs: Sequence[ReportedRun]
    circumstances: Mapping[str, Any]


def table(rows: Sequence[Row]) -> list[str]:
    """The Markdown table of the rows; what each interval is over stands in its head."""
    first = rows[0].arm
    lines = [
        f"| metric | arm | mean ± sd over {len(rows[0].values_R)} seeds | difference to {first} "
        "| 95 %, paired t over seeds | 95 %, bootstrap over seeds | 95 %, bootstrap over seeds and samples |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        better = "lower" if row.figure.metric.startswith(_LOWER_IS_BETTER) else "higher"
        cells = [f"{row.figure.metric} ({better} is better)", row.arm, _mean_and_spread(row)]
        if row.difference is None:
            cells += ["", "", "", ""]
        else:
            of, unit = row.difference, row.figure.unit
            cells.append(_signed(of.mean, unit))
            cells += [_interval(one, unit) for one in (of.t_over_seeds, of.over_seeds, of.over_seeds_and_samples)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def markdown(comparison: Comparison) -> str:
    """The whole report."""
    measured = comparison.runs[0].measurement
    seeds = sorted({run.seed for run in comparison.runs})
    lines = [
        f"# {comparison.title}",
        "",
        f"Seeds {', '.join(map(str, seeds))}; {measured.steps} steps a run; measured on {measured.samples} "
        f"samples of the validation split with {measured.box_protocol}, no flip test, averaged weights of the last "
        "epoch.",
        "",
        *(f"- {key}: {value}" for key, value in comparison.circumstances.items()),
        "",
        "| arm | what it changes |",
        "|---|---|",
        *(f"| {name} | {changes} |" for name, changes in comparison.arms.items()),
        "",
        "## Figures",
        "",
        *table(comparison.rows),
        "",
        *_about_intervals(len(seeds)),
        "",
        *_conventions(comparison.rows),
        "",
        f"![difference to the first arm]({DIFFERENCES_FILE})",
        "",
        f"![training curves, mean and range over the seeds]({CURVES_FILE})",
        "",
        "## Cost",
        "",
        *_costs(comparison.runs),
        "",
        "## Runs",
        "",
        *_runs(comparison),
    ]
    return "\n".join(lines) + "\n"


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The report for a program; a value that is not finite is null."""
    return {
        "title": comparison.title,
        "arms": dict(comparison.arms),
        "circumstances": dict(comparison.circumstances),
        "rows": [_row_as_json(row) for row in comparison.rows],
        "runs": [
            {
                "arm": run.arm,
                "seed": run.seed,
                "command": run.command,
                "figures": {figure.metric: figure.json_value for figure in run.measurement.run.figures},
                "box_protocol": run.measurement.box_protocol,
                "samples": run.measurement.samples,
                "split": run.measurement.run.split,
                "steps": run.measurement.steps,
                "training_seconds": run.measurement.training_seconds,
                "versions": run.measurement.versions,
            }
            for run in comparison.runs
        ],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    difference = None
    if row.difference is not None:
        difference = {
            key: [_finite(number) for number in value] if isinstance(value, tuple) else _finite(value)
            for key, value in row.difference._asdict().items()
        }
    return {
        "arm": row.arm,
        "metric": row.figure.metric,
        "unit": row.figure.unit,
        "convention": row.figure.convention,
        "by_seed": [_finite(value) for value in row.values_R],
        "mean": _finite(row.mean),
        "standard_deviation": _finite(row.spread),
        "difference": difference,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _mean_and_spread(row: Row) -> str:
    if not math.isfinite(row.mean):
        return "not finite"
    if row.figure.unit == "share":
        return f"{100 * row.mean:.2f} ± {100 * row.spread:.2f} %"
    return f"{row.mean:.3f} ± {row.spread:.3f} {row.figure.unit}"


def _signed(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "not finite"
    return f"{100 * value:+.2f} points" if unit == "share" else f"{value:+.3f} {unit}"


def _interval(interval: Interval | None, unit: str) -> str:
    if interval is None:
        return "no mean over samples"
    if not all(map(math.isfinite, interval)):
        return "not finite"
    low, high = (100 * end if unit == "share" else end for end in interval)
    digits = 2 if unit == "share" else 3
    excludes_zero = "" if low <= 0 <= high else " \\*"
    return f"{low:+.{digits}f} to {high:+.{digits}f}{excludes_zero}"


def _about_intervals(seeds: int) -> list[str]:
    lines = [
        "Differences are paired: both arms' runs of a seed start from the same weights and see the same crops in the",
        "same order. A star marks an interval without zero. *Paired t over seeds*: what other seeds would give on",
        "these very samples, the differences taken as normal. *Bootstrap over seeds*: percentiles of "
        f"{RESAMPLES} resamples of the seeds.",
        "*Over seeds and samples*: seeds and measured samples are both drawn anew, the same for both arms; it also",
        "covers other pictures of this kind.",
    ]
    if seeds < _FEW_SEEDS:
        lines += [
            "",
            f"With {seeds} seeds both bootstraps are too narrow in what they say of seeds: they cannot leave the range",
            f"of the {seeds} differences. Judge by the t interval. And with every further metric and arm it becomes",
            "likelier that one of the intervals misses zero by chance.",
        ]
    return lines


def _conventions(rows: Sequence[Row]) -> list[str]:
    return [
        f"- {metric}: {convention}"
        for metric, convention in {r.figure.metric: r.figure.convention for r in rows}.items()
    ]


def _costs(runs: Sequence[ReportedRun]) -> list[str]:
    lines = ["| arm | training of a run | step | beside the first arm |", "|---|---|---|---|"]
    first = None
    for arm in dict.fromkeys(run.arm for run in runs):
        measurements = [run.measurement for run in runs if run.arm == arm]
        seconds = sum(one.training_seconds for one in measurements)
        step = seconds / sum(one.steps for one in measurements)
        beside = "" if first is None else f"{step / first - 1:+.1%}"
        first = first or step
        lines.append(f"| {arm} | {seconds / len(measurements):.1f} s | {1e3 * step:.1f} ms | {beside} |")
    remark = "Wall clock of the epochs without validation, loader included, beside whatever else ran on the machine."
    return [*lines, "", f"{remark} `python -m model_export.step_cost RECIPE` compares a step's cost in one process."]


def _runs(comparison: Comparison) -> list[str]:
    followed = comparison.runs[0].measurement.run.figures[0].metric
    lines = [f"| arm | seed | {followed} | training |", "|---|---|---|---|"]
    for arm, seed, _, measurement in comparison.runs:
        value = measurement.run.figures[0].text
        lines.append(f"| {arm} | {seed} | {value} | {measurement.training_seconds:.1f} s |")
    commands = (f"    {run.command}" for run in comparison.runs)
    return [*lines, "", "Each by the command that trains it alone:", "", *commands]
