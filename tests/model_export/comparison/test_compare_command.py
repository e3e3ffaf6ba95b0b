"""`focalpoint compare`: what is done is kept, what is cut short goes on, and every row can be repeated."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from model_export.comparison.arms import plan_arms
from model_export.comparison.planned_runs import PlannedRun, plan_runs
from model_export.epoch_record import EpochRecord
from model_export.run_folder import RunFolder
from service.cli import build_command_line
from tests.model_export.recipes import shipped_recipe_path
from tests.model_export.runs import run_recipe
from tests.model_export.test_cli import refusal

DRAWN_FACES = shipped_recipe_path("drawn_faces")
SMALL = [
    "data.train_count=16",
    "data.validation_count=6",
    "network.widths=[8, 8, 12, 16]",
    "optimisation.epochs=2",
    "optimisation.batch_size=8",
    "optimisation.validate_every=1",
]
OPTIONS = [f"--set={setting}" for setting in SMALL]


class PowerCutError(Exception):
    """Ends a run."""


@pytest.fixture(autouse=True)
def _one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As the processes that are started: the number of threads changes the order of summation."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def planned_runs(output: Path) -> list[PlannedRun]:
    return plan_runs(DRAWN_FACES, SMALL, plan_arms(DRAWN_FACES, SMALL, []), [0, 1], output)


def cut_after_one_epoch(run: PlannedRun) -> None:
    def stop(_record: EpochRecord) -> None:
        raise PowerCutError

    with pytest.raises(PowerCutError):
        run_recipe(run.recipe, run.folder.path, epoch_done=stop)


@pytest.fixture
def trained(tmp_path: Path) -> list[PlannedRun]:
    """Two arms with two seeds each; the last run is cut short after its first epoch."""
    runs = planned_runs(tmp_path / "out")
    for run in runs[:-1]:
        run_recipe(run.recipe, run.folder.path)
    cut_after_one_epoch(runs[-1])
    return runs


def compare(tmp_path: Path) -> dict[str, Any]:
    arguments = ["compare", str(DRAWN_FACES), "--seeds=2", "--threads=1", *OPTIONS, f"--output={tmp_path / 'out'}"]
    result = CliRunner().invoke(build_command_line(), arguments)
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads((tmp_path / "out" / "comparison.json").read_text())
    return report | {"output": result.output}


def test_a_comparison_goes_on_where_it_was_cut_and_its_commands_repeat_it(
    tmp_path: Path, trained: list[PlannedRun]
) -> None:
    written = [run.folder.checkpoint.stat().st_mtime_ns for run in trained]
    report = compare(tmp_path)
    assert report["output"].startswith("4 runs, 3 of them done")
    assert [run.folder.checkpoint.stat().st_mtime_ns == at for run, at in zip(trained, written, strict=True)] == [
        *[True] * 3,
        False,
    ]
    assert [start["epochs_done"] for start in trained[-1].folder.versions()] == [0, 1]

    # What was measured is what training itself has seen last; all metrics of the recipe, offsets left out.
    by_run = {(run["arm"], run["seed"]): run for run in report["runs"]}
    assert list(by_run) == [("vanilla", 0), ("afl", 0), ("vanilla", 1), ("afl", 1)]
    for run in trained:
        last = run.folder.read_metrics()[-1]
        assert by_run[run.arm, run.seed]["figures"]["NME"] == pytest.approx(last["validation_NME"], rel=1e-6)
        assert by_run[run.arm, run.seed]["steps"] == 4
    rows = {(row["metric"], row["arm"]): row for row in report["rows"]}
    assert {metric for metric, _ in rows} == {"NME", "FR@0.1", "AUC@0.1", "PCK@0.05", "EPE"}
    nme = [by_run["afl", seed]["figures"]["NME"] - by_run["vanilla", seed]["figures"]["NME"] for seed in (0, 1)]
    assert rows["NME", "vanilla"]["difference"] is None
    assert rows["NME", "afl"]["difference"]["by_seed_R"] == pytest.approx(nme)
    text = (tmp_path / "out" / "report.md").read_text()
    assert all(run["command"] in text for run in report["runs"])
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"curves.png", "differences.png"}

    # The printed command, with another folder, gives the very numbers, of the run that was cut too.
    command = by_run["afl", 1]["command"]
    assert command.startswith("OMP_NUM_THREADS=1 focalpoint train ")
    words = [word for word in shlex.split(command)[2:] if not word.startswith("--run=")]
    again = CliRunner().invoke(build_command_line(), [*words, f"--run={tmp_path / 'again'}"])
    assert again.exit_code == 0, again.output
    repeated = RunFolder(tmp_path / "again").read_metrics()[-1]["validation_NME"]
    assert repeated == trained[-1].folder.read_metrics()[-1]["validation_NME"]

    # The same runs by their folders: the same differences.
    folders = [str(run.folder.path) for run in trained]
    result = CliRunner().invoke(build_command_line(), ["compare", *folders, f"--output={tmp_path / 'runs'}"])
    assert result.exit_code == 0, result.output
    of_runs = json.loads((tmp_path / "runs" / "comparison.json").read_text())
    assert [row["difference"] for row in of_runs["rows"]] == [row["difference"] for row in report["rows"]]
    assert list(of_runs["arms"].values())[1] == "`adversarial_focal.enabled=True`"

    refuse_unfair(tmp_path, trained)


def refuse_unfair(tmp_path: Path, trained: list[PlannedRun]) -> None:
    """Folders of runs that do not belong together; they take what the test above has trained."""
    vanilla_0, afl_0, vanilla_1, afl_1 = (str(run.folder.path) for run in trained)
    found = refusal("compare", vanilla_0, vanilla_1, afl_0)
    assert found.endswith("have seeds 0, 1 and 0: arms are only compared on the same seeds")
    assert refusal("compare", vanilla_0, afl_0).endswith(
        "has one seed: a difference needs two at least to be told from chance"
    )
    assert refusal("compare", vanilla_0, vanilla_1).endswith("expected two arms at least")
    assert refusal("compare", vanilla_0, afl_0, "--arm=a=b=1").startswith("--arm and --set change a recipe")

    text = (trained[1].folder.path / "recipe.toml").read_text()
    for before, after, reason in (
        ("epochs = 2", "epochs = 1", "optimisation.epochs is 2 and 1, but arms are only compared with the same budget"),
        ("validation_count = 6", "validation_count = 5", "data.validation_count is 6 and 5"),
        ("padding = 1.25", "padding = 1.3", "but arms are only compared with the same box protocol"),
    ):
        assert before in text
        for run in trained[1::2]:
            path = run.folder.path / "recipe.toml"
            path.write_text(path.read_text().replace(before, after))
        assert reason in refusal("compare", vanilla_0, afl_0, vanilla_1, afl_1)
        for run in trained[1::2]:
            path = run.folder.path / "recipe.toml"
            path.write_text(path.read_text().replace(after, before))


def test_runs_of_another_recipe_or_version_are_not_taken(tmp_path: Path) -> None:
    run = planned_runs(tmp_path / "out")[0]
    cut_after_one_epoch(run)
    arguments = ["compare", str(DRAWN_FACES), "--seeds=2", *OPTIONS, f"--output={tmp_path / 'out'}"]
    found = refusal(*arguments, "--set=optimisation.learning_rate=1e-3")
    assert found.startswith(f"{run.folder.path} holds a run of another recipe than arm vanilla with seed 0")

    path = run.folder.path / "versions.json"
    path.write_text(path.read_text().replace('"commit": "', '"commit": "0'))
    assert refusal(*arguments).startswith(f"{run.folder.path} was trained with commit 0")
    assert not run.is_done(any_code=True)


def test_an_unfinished_run_is_not_compared(tmp_path: Path) -> None:
    runs = planned_runs(tmp_path / "out")
    for run in runs:
        cut_after_one_epoch(run)
    found = refusal("compare", *(str(run.folder.path) for run in runs))
    assert found == f"{runs[0].folder.path} has done 1 of 2 epochs: resume it first"


def test_what_cannot_be_trained_is_refused_before_any_run_starts(tmp_path: Path) -> None:
    output = f"--output={tmp_path / 'out'}"
    arm = "--arm=odd=base_losses.absent=1.0"
    found = refusal("compare", str(DRAWN_FACES), *OPTIONS, arm, output)
    assert found.startswith("unknown key base_losses.absent")
    assert not (tmp_path / "out").exists()
