"""Skeletons in recipes: named there, written out in what is read, refused with the error of this half."""

from pathlib import Path

import pytest

from model_export.errors import RecipeError
from model_export.recipe import load_recipe
from model_export.skeleton import load_skeleton
from tests.model_export.recipes import shipped_recipe_path


def test_a_recipe_names_a_skeleton_and_holds_it_written_out(tmp_path: Path) -> None:
    text = shipped_recipe_path("drawn_faces").read_text(encoding="utf-8")
    before = text[: text.index("[keypoints]")]
    (tmp_path / "face5.toml").write_text(
        'names = ["a", "b", "c"]\nedges = [["a", "c"], [1, 2]]\nflip_pairs = [["a", "b"]]\n', encoding="utf-8"
    )
    (tmp_path / "recipe.toml").write_text(
        before + '[keypoints]\nskeleton = "face5.toml"\noks_sigmas = [0.1, 0.1, 0.2]\n', encoding="utf-8"
    )
    keypoints = load_recipe(tmp_path / "recipe.toml").keypoints
    assert keypoints.names == ("a", "b", "c")
    assert keypoints.skeleton == ((0, 2), (1, 2))
    assert keypoints.flip_pairs == ((0, 1),)
    assert keypoints.oks_sigmas == (0.1, 0.1, 0.2)
    (tmp_path / "recipe.toml").write_text(before + '[keypoints]\nskeleton = "coco17"\n', encoding="utf-8")
    assert load_recipe(tmp_path / "recipe.toml").keypoints == load_skeleton("coco17", tmp_path)


def test_a_skeleton_that_is_not_there_is_an_error_of_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"skeleton 'coco': there is no file .* shipped ones are bee32, .*coco17"):
        load_skeleton("coco", tmp_path)
