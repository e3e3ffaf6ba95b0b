"""Trainings in processes of their own: one at a time in a folder, and a failure says which."""

import fcntl
import re
from pathlib import Path

import pytest

from model_export.comparison.planned_runs import PlannedRun
from model_export.comparison.side_by_side import train_side_by_side
from model_export.errors import RunError
from model_export.run_folder import RunFolder
from tests.model_export.recipes import small_recipe


def failing_run(folder: Path, seed: int) -> PlannedRun:
    """Ends with one sentence, without importing torch: what it is asked for is not there."""
    return PlannedRun("afl", seed, small_recipe(), RunFolder(folder), ("inspect", str(folder / "absent")))


def test_failures_are_named_after_all_have_had_their_turn(tmp_path: Path) -> None:
    runs = [failing_run(tmp_path / str(seed), seed) for seed in range(3)]
    with pytest.raises(RunError) as failure:
        train_side_by_side(runs, workers=2, threads=1, finished=lambda _run: None)
    # Which of two that run at a time ends first is chance.
    message = re.fullmatch(r"arm afl, seed (\d) failed \(and 2 more runs\), see (.*?): (.*)", str(failure.value))
    assert message is not None
    seed, log, said = message.groups()
    assert log == str(tmp_path / seed / "log.txt")
    assert said.startswith(f"{tmp_path / seed / 'absent'} is not a bundle")
    assert all((tmp_path / str(seed) / "log.txt").read_text() for seed in range(3))


def test_a_run_that_another_process_trains_is_not_started_again(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="is being trained by another process"):
            train_side_by_side([failing_run(tmp_path / "run", 0)], workers=1, threads=1, finished=lambda _run: None)
    assert not (tmp_path / "run" / "log.txt").exists()


def is_locked(folder: Path) -> bool:
    with (folder / "lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_process_holds_the_lock_of_its_folder_until_it_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the comparison that started it is gone: the lock is that of the open file, which is handed on."""
    looks: list[bool] = []

    def look(_seconds: float) -> None:
        looks.append(is_locked(tmp_path / "run"))

    monkeypatch.setattr("model_export.comparison.side_by_side.time.sleep", look)
    with pytest.raises(RunError):
        train_side_by_side([failing_run(tmp_path / "run", 0)], workers=1, threads=1, finished=lambda _run: None)
    assert looks[0]
    assert not is_locked(tmp_path / "run")
