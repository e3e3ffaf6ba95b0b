"""`docs/third_party.md` names every kind, flag and output there is, and none that is not."""

import inspect
import re
from pathlib import Path

import pytest

from service.adoption.adopt_command import adopt_command
from service.adoption.origins import ORIGINS
from service.contract.model_output import OUTPUT_KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "third_party.md").read_text(encoding="utf-8")
FLAGS = {f"--{name.replace('_', '-')}" for name in inspect.signature(adopt_command).parameters}


@pytest.mark.parametrize("kind", list(ORIGINS))
def test_every_origin_is_in_the_table(kind: str) -> None:
    assert f"--kind {kind}" in PAGE


def test_every_kind_of_output_is_in_the_table() -> None:
    for kind in OUTPUT_KINDS:
        assert re.search(rf"^\| `{kind}`", PAGE, re.M), kind


def test_only_flags_that_exist_are_named() -> None:
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE)) - {"--dump-info", "--model"}  # MMDeploy's; of focalpoint predict
    assert named <= FLAGS
    assert len(named) > 12
