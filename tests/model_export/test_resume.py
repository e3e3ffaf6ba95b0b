"""A run that SIGKILL ends at random moments, and resumes, ends in the very weights of one that nothing disturbs."""

import random
import signal
from pathlib import Path

from model_export.run_folder import RunFolder
from tests.model_export.processes import finish, start_training
from tests.model_export.recipes import small_recipe
from tests.model_export.runs import assert_equal_states, timeless_metrics

EPOCHS, STEPS_PER_EPOCH = 6, 3
LAST = EPOCHS * STEPS_PER_EPOCH


def steps_done(run: RunFolder) -> int:
    """Steps of the whole run that the checkpoint holds."""
    if not run.checkpoint.exists():
        return 0
    state = run.load_checkpoint()
    steps: int = state["epoch"] * STEPS_PER_EPOCH + state["progress"]["steps"]
    return steps


def test_kills_at_random_moments_leave_no_trace(tmp_path: Path) -> None:
    """AFL with its critic, accumulation, the moving average, and checkpoints within an epoch."""
    recipe = small_recipe(optimisation={"epochs": EPOCHS, "accumulation": 2})
    assert finish(start_training(recipe, tmp_path / "whole")) == [0]
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")

    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    kills: list[tuple[int, int, float, float, list[int | None]]] = []
    while (done := steps_done(cut)) < LAST - 1 and len(kills) < 6:
        kill_step, delay = chance.randint(done + 1, min(done + 6, LAST - 1)), chance.uniform(0, 0.06)
        every = chance.choice([0.0, 0.0, 0.05, float("inf")])
        leg = start_training(recipe, cut.path, checkpoint_seconds=every, kill_step=kill_step, kill_delay=delay)
        kills.append((done, kill_step, delay, every, finish(leg)))
    story = f"seed {seed}: {kills}"
    assert [-signal.SIGKILL] in [code for *_, code in kills], story
    assert {code for *_, (code,) in kills} <= {-signal.SIGKILL, 0}, story
    assert finish(start_training(recipe, cut.path)) == [0], story

    try:
        assert_equal_states(whole.load_checkpoint(), cut.load_checkpoint())
        assert timeless_metrics(whole) == timeless_metrics(cut)
    except AssertionError as difference:
        raise AssertionError(story) from difference
