"""`--set KEY=VALUE`."""

import pytest

from model_export.errors import RecipeError
from model_export.overrides import override
from model_export.recipe import load_recipe
from tests.model_export.recipes import shipped_recipe_path

VALUES = {"seed": 0, "optimisation": {"epochs": 8, "precision": "32-true"}, "network": {"widths": [1, 2]}}


@pytest.mark.parametrize(
    ("setting", "section", "key", "value"),
    [
        ("optimisation.epochs=1", "optimisation", "epochs", 1),
        ("optimisation.epochs = 2", "optimisation", "epochs", 2),
        ("network.widths=[8, 8]", "network", "widths", [8, 8]),
        ("optimisation.precision=bf16-mixed", "optimisation", "precision", "bf16-mixed"),
        ('optimisation.precision="bf16-mixed"', "optimisation", "precision", "bf16-mixed"),
        ("data.root=/a=b", "data", "root", "/a=b"),
    ],
)
def test_a_value_is_toml_or_text(setting: str, section: str, key: str, value: object) -> None:
    changed = override(VALUES, [setting])
    assert changed[section][key] == value
    assert {name for name in changed if changed[name] != VALUES.get(name)} == {section}
    assert VALUES["seed"] == 0


def test_later_settings_win_and_the_mapping_given_stays() -> None:
    assert override(VALUES, ["seed=1", "seed=2", "optimisation.epochs=3"]) == VALUES | {
        "seed": 2,
        "optimisation": {"epochs": 3, "precision": "32-true"},
    }
    assert VALUES["optimisation"] == {"epochs": 8, "precision": "32-true"}


def test_nothing_takes_the_key_out() -> None:
    assert override(VALUES, ["optimisation.precision=", "network.absent="]) == VALUES | {"optimisation": {"epochs": 8}}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seed", "--set seed: expected KEY=VALUE, such as optimisation.epochs=1"),
        ("=1", "--set =1: expected KEY=VALUE"),
        ("optimisation..epochs=1", "expected KEY=VALUE"),
        ("seed.x=1", r"--set seed\.x=1: what stands before \.x is no section"),
    ],
)
def test_a_setting_that_is_none_is_refused(setting: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        override(VALUES, [setting])


def test_a_recipe_is_checked_with_its_changes() -> None:
    path = shipped_recipe_path("drawn_faces")
    assert load_recipe(path, ["optimisation.epochs=1", "seed=7"]).optimisation.epochs == 1
    with pytest.raises(RecipeError, match=r"unknown key optimisation\.epoch"):
        load_recipe(path, ["optimisation.epoch=1"])
    with pytest.raises(RecipeError, match=r"optimisation\.epochs: Input should be greater than 0, found 0"):
        load_recipe(path, ["optimisation.epochs=0"])
