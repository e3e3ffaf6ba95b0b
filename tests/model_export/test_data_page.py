"""`docs/data.md` has every format, skeleton and check there is."""

import re
from pathlib import Path

import pytest

from model_export.data.readers import READERS
from service.contract.skeleton import shipped_skeletons

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
CHECKS = sorted(
    {
        name
        for path in (ROOT / "model_export" / "data_check").glob("*.py")
        for name in re.findall(
            r'(?:Problem\(\s*|\(\()"(\w+)"|^\s+\("(\w+)", \[', path.read_text(encoding="utf-8"), re.M
        )
        for name in name
        if name
    }
)


def in_first_column(text: str) -> set[str]:
    return {
        name for line in text.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1] if "|" in line else "")
    }


@pytest.mark.parametrize("data_format", READERS)
def test_every_format_is_documented(data_format: str) -> None:
    assert data_format in in_first_column(PAGE)


@pytest.mark.parametrize("skeleton", shipped_skeletons())
def test_every_shipped_skeleton_is_named(skeleton: str) -> None:
    assert f"`{skeleton}`" in PAGE.partition("## Skeletons")[2].partition("\n## ")[0]


def test_the_checks_documented_are_those_there_are() -> None:
    assert len(CHECKS) > 8
    assert set(CHECKS) | {"faulty_object"} == in_first_column(
        PAGE.partition("## Looking for mistakes")[2].partition("\n## ")[0]
    )
