"""`focalpoint check-data` as a user meets it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from typer.testing import CliRunner

from service.cli import build_command_line
from tests.model_export.data.format_fixtures import FIXTURES
from tests.model_export.recipes import recipe_values

SKELETON = 'names = ["a", "b", "c"]\nedges = [["a", "b"]]\n'


def check(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    result = CliRunner().invoke(build_command_line(), ["check-data", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def on_file(folder: Path, data_format: str, annotations: Path, *others: str) -> tuple[int, str, str]:
    (folder / "own.toml").write_text(SKELETON, encoding="utf-8")
    options = ["--format", data_format, "--annotations", str(annotations), "--skeleton", str(folder / "own.toml")]
    return check(*options, *others)


def test_a_sound_set_passes_and_is_drawn(tmp_path: Path) -> None:
    fixture = FIXTURES["coco"](tmp_path)
    code, output, _ = on_file(tmp_path, "coco", fixture.annotations, "--draw", str(tmp_path / "drawn"))
    assert code == 0
    assert "data: 3 objects in 2 pictures" in output
    assert "no problem found" in output
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["data_000.png", "data_001.png"]


def test_errors_end_in_exit_code_1_and_all_stand_in_the_json(tmp_path: Path) -> None:
    fixture = FIXTURES["coco"](tmp_path)
    content: dict[str, Any] = json.loads(fixture.annotations.read_text(encoding="utf-8"))
    first, second, third = content["annotations"]
    first["keypoints"][0] = 39.75  # a quarter of a pixel beyond the edge: a warning
    second["keypoints"][3] = "x"
    content["annotations"] += [third | {"id": 8}, third | {"id": 9, "iscrowd": 1}]
    fixture.annotations.write_text(json.dumps(content), encoding="utf-8")
    code, output, _ = on_file(tmp_path, "coco", fixture.annotations, "--json", str(tmp_path / "report.json"))
    assert code == 1
    assert "1 left out: crowd (iscrowd = 1)" in output
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert report["data"][0]["objects"] == 3
    assert [(problem["check"], problem["severity"]) for problem in report["problems"]] == [
        ("faulty_object", "error"),
        ("same_annotation", "error"),
        ("point_outside_picture", "warning"),
    ]
    assert "annotations[1], keypoints: points.3" in report["problems"][0]["detail"]


def test_a_picture_on_both_sides_of_a_recipe_is_an_error(tmp_path: Path) -> None:
    FIXTURES["csv"](tmp_path)
    lines = (tmp_path / "points.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "held_out.csv").write_text("\n".join([lines[0], lines[1]]), encoding="utf-8")
    (tmp_path / "own.toml").write_text(SKELETON, encoding="utf-8")
    values = recipe_values() | {"keypoints": {"skeleton": "own.toml", "flip_pairs": []}}
    values["data"] = {"format": "csv", "root": str(tmp_path), "train": "points.csv", "validation": "held_out.csv"}
    values["evaluation"] = recipe_values()["evaluation"]
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(values), encoding="utf-8")
    code, output, _ = check(str(tmp_path / "recipe.toml"))
    assert code == 1
    assert "picture_in_both" in output


def test_what_cannot_be_checked_ends_in_one_sentence(tmp_path: Path) -> None:
    assert on_file(tmp_path, "xml", tmp_path / "a.xml")[2].startswith("focalpoint: --format: expected one of csv, coco")
    code, _, error = on_file(tmp_path, "coco", tmp_path / "absent.json")
    assert (code, error.count("\n")) == (1, 1)
    assert "absent.json cannot be read: No such file" in error
    assert check()[0] == 2  # usage


@pytest.mark.skipif("FOCALPOINT_DATA" not in os.environ, reason="FOCALPOINT_DATA is not set")
def test_the_mouse_pictures_that_are_copies_are_found(tmp_path: Path) -> None:
    folder = Path(os.environ["FOCALPOINT_DATA"]) / "mirror_mouse" / "data" / "mirror-mouse-example"
    options = ["--format", "deeplabcut", "--annotations", str(folder / "CollectedData.csv"), "--skeleton", "mouse17"]
    code, _, _ = check(*options, "--json", str(tmp_path / "report.json"))
    assert code == 0
    problems = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["problems"]
    same = {
        (Path(p["where"]).name, Path(p["detail"].split()[-1]).name) for p in problems if p["check"] == "same_picture"
    }
    assert ("img00.png", "img01.png") in same
