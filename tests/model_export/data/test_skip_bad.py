"""`skip_bad` in a recipe: what is faulty is skipped and its number logged; without it the first fault ends all."""

import logging
from pathlib import Path
from typing import Any

import pytest

from model_export.data.splits import training_samples
from model_export.errors import DataError
from model_export.recipe import Recipe
from tests.model_export.data.format_fixtures import write_pictures
from tests.model_export.recipes import small_recipe

HEADER: list[Any] = ["image", *(f"{axis}{k}" for k in range(5) for axis in "xy")]
POINTS = [3, 4, 20, 5, 10, 12, 5, 20, 18, 21]


def recipe(folder: Path, rows: list[list[Any]], *, skip_bad: bool) -> Recipe:
    write_pictures(folder, ["a.png", "b.png"])
    (folder / "text.png").write_text("no picture", encoding="utf-8")
    lines = [HEADER, *rows]
    (folder / "points.csv").write_text("\n".join(",".join(map(str, line)) for line in lines), encoding="utf-8")
    made = small_recipe()
    data = {"format": "csv", "root": str(folder), "train": "points.csv", "validation": "points.csv"}
    return Recipe.model_validate(made.model_dump() | {"data": data | {"skip_bad": skip_bad}})


ROWS: list[list[Any]] = [
    ["a.png", *POINTS],
    ["a.png", "x", *POINTS[1:]],
    ["text.png", *POINTS],
    ["absent.png", *POINTS],
    ["b.png", *POINTS[:-1], 900],
    ["b.png", *POINTS],
    ["b.png", *([""] * 10)],
]


def test_faulty_objects_are_skipped_and_counted_where_that_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        samples = training_samples(recipe(tmp_path, ROWS, skip_bad=True))
    assert [sample.image_id for sample in samples] == ["a.png", "b.png"]
    left_out, skipped = caplog.messages
    assert "points.csv: 1 objects left out: no visible keypoint" in left_out
    assert "points.csv: 4 objects skipped, the first: " in skipped
    assert "points.csv, line 3: a coordinate is not a number" in skipped


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (1, r"points\.csv, line 2: a coordinate is not a number"),
        (2, r"text\.png cannot be decoded"),
        (3, r"absent\.png cannot be read"),
        (4, r"points\.csv, line 2: keypoint 4 lies at \(18, 900\), outside the picture \(40 x 30\)"),
    ],
)
def test_without_it_the_first_fault_ends_the_command(tmp_path: Path, row: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        training_samples(recipe(tmp_path, [ROWS[row], ROWS[0]], skip_bad=False))


def test_where_nothing_is_left_the_reason_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"points\.csv: no object is left, 2 are faulty: .*text\.png cannot be decoded"):
        training_samples(recipe(tmp_path, ROWS[2:4], skip_bad=True))
