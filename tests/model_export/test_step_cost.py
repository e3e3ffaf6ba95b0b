"""`python -m model_export.step_cost` times both arms of a recipe."""

import re
import sys
from pathlib import Path

import pytest
import tomli_w

from model_export import step_cost
from tests.model_export.recipes import small_recipe


def test_both_arms_are_timed_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = small_recipe(optimisation={"accumulation": 2}).model_dump(mode="json", exclude_none=True)
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(values), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["step_cost", str(tmp_path / "recipe.toml"), "--steps", "3"])
    step_cost.main()
    line = capsys.readouterr().out
    found = re.fullmatch(
        r"32-true, \d+ threads, batch 8: vanilla (\d+) ms, AFL (\d+) ms a step: ([+-]\d+\.\d)%\n", line
    )
    assert found, line
    vanilla, afl, share = (float(number) for number in found.groups())
    assert vanilla > 0
    # The times are rounded to milliseconds, each by up to a half.
    lowest, highest = (afl - 0.5) / (vanilla + 0.5) - 1, (afl + 0.5) / (vanilla - 0.5) - 1
    assert 100 * lowest - 0.1 <= share <= 100 * highest + 0.1
