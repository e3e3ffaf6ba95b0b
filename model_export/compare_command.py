"""`focalpoint compare`: trains the arms of a recipe on the same seeds, or takes runs that are there, and reports."""

import json
import os
import platform
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from model_export.comparison.arms import Arm, parse_arm, plan_arms
from model_export.comparison.comparable import check_same_measure, differing_keys
from model_export.comparison.differences import comparison_rows
from model_export.comparison.planned_runs import PlannedRun, plan_runs
from model_export.comparison.plots import draw_differences, draw_training_curves
from model_export.comparison.report import (
    CURVES_FILE,
    DIFFERENCES_FILE,
    Comparison,
    ReportedRun,
    as_json,
    markdown,
    table,
)
from model_export.comparison.run_groups import group_runs
from model_export.comparison.run_measurement import measured
from model_export.comparison.side_by_side import train_side_by_side
from model_export.recipe import Recipe
from model_export.run_folder import RunFolder
from model_export.train_command import check_recipe

REPORT_FILE = "report.md"
JSON_FILE = "comparison.json"


def compare_arms(
    recipe_path: Path,
    *,
    seeds: int,
    arms: Sequence[str],
    settings: Sequence[str],
    workers: int,
    threads: int | None,
    output: Path | None,
    any_code: bool,
) -> Comparison:
    """Train what is not yet trained of all arms and seeds, measure every run, and write the report.

    Args:
        recipe_path: the recipe.
        seeds: how many, counted from the recipe's.
        arms: besides the vanilla one and the recipe itself, see `parse_arm`.
        settings: changes of the recipe for all arms.
        workers: trainings at a time.
        threads: of each; None for an even share of the cores.
        output: folder for report and runs; None for `runs/compare_NAME`.
        any_code: take runs that are there whatever versions trained them.

    Raises:
        TrainingInputError: recipe or data cannot be used, arms cannot be compared, or a run failed.
    """
    planned = plan_arms(recipe_path, settings, [parse_arm(text) for text in arms])
    for recipe in planned.values():
        check_recipe(recipe)
    first_recipe = next(iter(planned.values()))
    output = output or Path("runs") / f"compare_{first_recipe.name}"
    threads = threads or max(1, (os.cpu_count() or 1) // workers)
    first_seed = first_recipe.seed
    runs = plan_runs(recipe_path, settings, planned, range(first_seed, first_seed + seeds), output)
    _train(runs, workers, threads, any_code=any_code)
    reported = [ReportedRun(run.arm, run.seed, run.command(threads), measured(run.folder)) for run in runs]
    circumstances = {"trained": f"{workers} at a time, {threads} threads each", **_circumstances(reported)}
    title = f"Arms of {first_recipe.name}"
    return _report(title, _describe_arms(planned), reported, [run.folder for run in runs], circumstances, output)


def compare_runs(paths: Sequence[Path], output: Path | None) -> Comparison:
    """Compare finished runs, see `group_runs`.

    Args:
        paths: run folders; the first one's arm is compared with.
        output: folder for the report; None for `runs/comparison`.

    Raises:
        TrainingInputError: a run cannot be read or is not finished, or arms cannot be compared.
    """
    arms, recipes = group_runs(paths)
    reported, folders = [], []
    for seed in sorted(next(iter(arms.values()))):
        for name, runs in arms.items():
            measurement = measured(runs[seed])
            command = measurement.versions[0]["command"]
            reported.append(ReportedRun(name, seed, command, measurement))
            folders.append(runs[seed])
    first, *_ = recipes.values()
    changes = {name: _describe_changes(first, recipe) for name, recipe in recipes.items()}
    output = output or Path("runs") / "comparison"
    return _report(f"Runs of {first.name}", changes, reported, folders, _circumstances(reported), output)


def _train(runs: Sequence[PlannedRun], workers: int, threads: int, *, any_code: bool) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    left = [run for run in runs if not run.is_done(any_code=any_code)]
    console.print(
        f"{len(runs)} runs, {len(runs) - len(left)} of them done; {workers} at a time, {threads} threads each"
    )
    done = len(runs) - len(left)

    def finished(run: PlannedRun) -> None:
        nonlocal done
        done += 1
        console.print(f"arm {run.arm}, seed {run.seed}: trained ({done} of {len(runs)} runs)")

    # Its default would leave the trainings behind.
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        train_side_by_side(left, workers, threads, finished)
    finally:
        signal.signal(signal.SIGTERM, before)


def _report(
    title: str,
    changes: Mapping[str, str],
    reported: Sequence[ReportedRun],
    folders: Sequence[RunFolder],
    circumstances: Mapping[str, Any],
    output: Path,
) -> Comparison:
    for seed in {run.seed for run in reported}:
        check_same_measure({run.arm: run.measurement for run in reported if run.seed == seed})
    rows = comparison_rows({arm: [run.measurement.run for run in reported if run.arm == arm] for arm in changes})
    comparison = Comparison(title, changes, rows, reported, circumstances)
    output.mkdir(parents=True, exist_ok=True)
    records = {
        arm: [folder.read_metrics() for run, folder in zip(reported, folders, strict=True) if run.arm == arm]
        for arm in changes
    }
    draw_training_curves(output / CURVES_FILE, records)
    draw_differences(output / DIFFERENCES_FILE, rows)
    _write(output / JSON_FILE, json.dumps(as_json(comparison), indent=2) + "\n")
    _write(output / REPORT_FILE, markdown(comparison))
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print("\n".join(table(rows)))
    console.print(f"report: {output / REPORT_FILE}")
    return comparison


def _describe_arms(planned: Mapping[Arm, Recipe]) -> dict[str, str]:
    return {arm.name: ", ".join(f"`{setting}`" for setting in arm.settings) or "the recipe as it is" for arm in planned}


def _describe_changes(first: Recipe, other: Recipe) -> str:
    return ", ".join(f"`{key}={value}`" for key, _, value in differing_keys(first, other)) or "what others change"


def _circumstances(reported: Sequence[ReportedRun]) -> dict[str, str]:
    entries = [entry for run in reported for entry in run.measurement.versions]
    seen = {
        key: sorted({str(entry[key]) for entry in entries})
        for key in entries[0]
        if key not in ("command", "epochs_done")
    }
    return {
        **{key: ", ".join(values) for key, values in seen.items()},
        "system": f"{platform.system()}, {os.cpu_count()} cores",
        "reported": datetime.now(UTC).date().isoformat(),
    }


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
