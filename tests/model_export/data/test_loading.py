"""Pictures that are missing, before a run starts or in worker processes: one sentence. And pictures of both splits."""

import shutil
from pathlib import Path

import cv2
import pytest
import tomli_w
from typer.testing import CliRunner

from model_export.data.keypoint_sample import KeypointSample
from model_export.data.synthetic import draw_samples
from model_export.errors import DataError
from model_export.recipe import Recipe, parse_recipe
from service.cli import build_command_line
from tests.model_export.recipes import small_recipe
from tests.model_export.runs import build_trainer


def write_split(folder: Path, name: str, samples: list[KeypointSample]) -> None:
    """The samples as `NAME.csv` and pictures."""
    lines = [",".join(["image", *(f"{axis}{keypoint}" for keypoint in range(5) for axis in "xy")])]
    for index, sample in enumerate(samples):
        cv2.imwrite(str(folder / f"{name}{index}.png"), sample.read_image()[..., ::-1])
        lines.append(",".join([f"{name}{index}.png", *(f"{value:.3f}" for value in sample.points_in_image.ravel())]))
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_split(tmp_path, "train", draw_samples(8, seed=0))
    write_split(tmp_path, "validation", draw_samples(2, seed=1))
    return tmp_path


def recipe_of(folder: Path, workers: int) -> Recipe:
    values = small_recipe(optimisation={"loader_workers": workers}).model_dump(mode="json", exclude_none=True)
    values["data"] = {"format": "csv", "root": str(folder), "train": "train.csv", "validation": "validation.csv"}
    return parse_recipe(values, "a test")


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("lost", ["train3.png", "validation1.png"])
def test_a_picture_that_is_lost_while_training_is_named_in_one_sentence(folder: Path, lost: str, workers: int) -> None:
    trainer = build_trainer(recipe_of(folder, workers))
    (folder / lost).unlink()
    with pytest.raises(DataError) as caught:
        trainer.run_epoch(lambda _epoch, _done, _total: None)
    assert str(caught.value) == f"picture {folder / lost} cannot be read: No such file or directory"


def train(folder: Path, recipe: Recipe) -> str:
    """What `focalpoint train` prints."""
    (folder / "recipe.toml").write_text(
        tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True)), encoding="utf-8"
    )
    command = ["train", str(folder / "recipe.toml"), "--run", str(folder / "run"), "--set=optimisation.epochs=1"]
    found = CliRunner().invoke(build_command_line(), command)
    assert found.exit_code == 0, found.output
    return found.stdout


def test_pictures_of_both_splits_are_a_warning(folder: Path) -> None:
    recipe = recipe_of(folder, 0)
    lines = (folder / "train.csv").read_text(encoding="utf-8").splitlines()
    with (folder / "validation.csv").open("a", encoding="utf-8") as file:
        file.write("\n".join(lines[3:5]) + "\n")
    expected = f"warning: 2 pictures both train and validate, such as {folder / 'train2.png'}: what is measured on them"
    assert expected in train(folder, recipe)
    shutil.rmtree(folder / "run")
    write_split(folder, "validation", draw_samples(2, seed=1))
    assert "warning" not in train(folder, recipe)


def test_a_missing_validation_picture_ends_training_before_it_starts(folder: Path) -> None:
    recipe = recipe_of(folder, 0).model_dump(mode="json", exclude_none=True)
    (folder / "recipe.toml").write_text(tomli_w.dumps(recipe), encoding="utf-8")
    (folder / "validation1.png").unlink()
    found = CliRunner().invoke(
        build_command_line(), ["train", str(folder / "recipe.toml"), "--run", str(folder / "run")]
    )
    assert found.exit_code == 1
    assert (
        found.stderr == f"focalpoint: picture {folder / 'validation1.png'} cannot be read: No such file or directory\n"
    )
    assert not (folder / "run").exists()
