"""Arms: how they are written, which there are, and which are refused."""

from pathlib import Path
from typing import Any

import pytest

from model_export.comparison.arms import Arm, parse_arm, plan_arms
from model_export.comparison.comparable import check_same_measure, check_same_terms
from model_export.comparison.differences import MeasuredRun
from model_export.comparison.run_measurement import Measurement
from model_export.errors import RunError
from tests.model_export.recipes import shipped_recipe_path, small_recipe

DRAWN_FACES = shipped_recipe_path("drawn_faces")


def test_an_arm_may_hold_lists() -> None:
    text = "early=adversarial_focal.critic_betas=[0.0, 0.9],optimisation.learning_rate=1e-3"
    settings = ("adversarial_focal.critic_betas=[0.0, 0.9]", "optimisation.learning_rate=1e-3")
    assert parse_arm(text) == Arm("early", settings)


@pytest.mark.parametrize("text", ["early", "early=", "early=strong", "=a=1", "Early=a=1", "../up=a=1"])
def test_an_arm_without_name_or_setting_is_refused(text: str) -> None:
    with pytest.raises(RunError, match="expected NAME=KEY=VALUE,KEY=VALUE"):
        parse_arm(text)


def test_the_vanilla_arm_comes_first_and_the_recipe_second() -> None:
    more = [parse_arm("slow=optimisation.learning_rate=1e-4")]
    planned = plan_arms(DRAWN_FACES, ["optimisation.epochs=3"], more)
    assert [arm.name for arm in planned] == ["vanilla", "afl", "slow"]
    assert [recipe.adversarial_focal.enabled for recipe in planned.values()] == [False, True, True]
    assert {recipe.optimisation.epochs for recipe in planned.values()} == {3}
    without = plan_arms(DRAWN_FACES, ["adversarial_focal.enabled=false"], more)
    assert [arm.name for arm in without] == ["vanilla", "slow"]


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(RunError, match=r"--arm afl=\.\.\.: there are two arms of that name"):
        plan_arms(DRAWN_FACES, [], [parse_arm("afl=optimisation.learning_rate=1e-4")])


def test_an_arm_that_changes_nothing_is_refused() -> None:
    with pytest.raises(RunError, match="arms afl and same are the same recipe"):
        plan_arms(DRAWN_FACES, [], [parse_arm("same=adversarial_focal.enabled=true")])


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("seed=4", "seed is 0 and 4, but arms are only compared on the same seeds"),
        ("data.train_count=12", "data.train_count is 1024 and 12, but arms are only compared on the same pictures"),
        ("data.validation_count=12", "data.validation_count is 128 and 12"),
        ("input.padding=1.5", "input.padding is 1.25 and 1.5, but arms are only compared with the same box protocol"),
        ("augmentation.shift=0.2", "augmentation.shift is 0.12 and 0.2, but arms are only compared on the same crops"),
        ("optimisation.epochs=9", "optimisation.epochs is 8 and 9, but arms are only compared with the same budget"),
        ("optimisation.batch_size=16", "optimisation.batch_size is 32 and 16"),
        ("optimisation.schedule.settling_epochs=1", "optimisation.schedule.settling_epochs is 0 and 1"),
        ("network.initial_weights=/w.pth", "network.initial_weights is absent and /w.pth"),
    ],
)
def test_another_split_box_protocol_or_budget_is_refused(setting: str, reason: str) -> None:
    with pytest.raises(RunError) as refusal:
        plan_arms(DRAWN_FACES, [], [parse_arm(f"other={setting}")])
    assert str(refusal.value).startswith(f"arms vanilla and other: {reason}")


def test_another_metric_is_refused() -> None:
    other = small_recipe(evaluation={"metrics": [{"kind": "epe"}]})
    with pytest.raises(RunError, match=r"arms a and b: evaluation\.metrics is .* by the same metrics and conventions"):
        check_same_terms({"a": small_recipe(), "b": other})


def measurement(**changes: Any) -> Measurement:
    unchanged = Measurement(MeasuredRun((), {}, "split"), "annotated boxes", 10, 1.0, 6, [])
    return unchanged._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"box_protocol": "detected boxes"}, "were measured with annotated boxes and with detected boxes"),
        ({"run": MeasuredRun((), {}, "another")}, "were measured on different samples"),
        ({"steps": 7}, "took 6 and 7 steps"),
    ],
)
def test_what_was_measured_otherwise_is_refused_whatever_the_recipes_say(changes: dict[str, Any], reason: str) -> None:
    check_same_measure({"a": measurement(), "b": measurement()})
    with pytest.raises(RunError, match=f"arms a and b {reason}"):
        check_same_measure({"a": measurement(), "b": measurement(**changes)})


def test_the_settings_of_a_file_reach_every_arm(tmp_path: Path) -> None:
    """The printed command of a run is the recipe's path, the settings of all, then those of the arm: the last wins."""
    planned = plan_arms(
        DRAWN_FACES, ["optimisation.learning_rate=1e-3"], [parse_arm("x=optimisation.learning_rate=1e-4")]
    )
    assert [recipe.optimisation.learning_rate for recipe in planned.values()] == [1e-3, 1e-3, 1e-4]
