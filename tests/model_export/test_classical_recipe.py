"""A recipe in the conventions of Simple Baselines: it trains, and its bundle says and does what was trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_export.data.splits import validation_samples
from model_export.errors import RecipeError
from model_export.evaluate import estimate_in_process
from model_export.export_bundle import export_bundle
from model_export.recipe import Recipe, parse_recipe
from service.contract.bundle_manifest import BundleManifest
from service.contract.crop_transform import CropTransform
from service.contract.keypoint_codec import KeypointCodec
from tests.model_export.recipes import recipe_values, small_recipe
from tests.model_export.runs import run_recipe

CODEC = {"alignment": "stride", "encoding": "rounded_gaussian", "decoding": "quarter_step"}
AUGMENTATION = {
    "name": "classical",
    "scale_factor": 0.25,
    "rotation_factor": 30.0,
    "rotation_share": 0.6,
    "flip_share": 0.5,
    "half_body_share": 0.3,
    "half_body_above": 4,
    "half_body_padding": 1.5,
    "upper_body": [0, 1, 2],
}


def classical_values(**changes: dict[str, Any]) -> dict[str, Any]:
    """The small drawn faces with every section of the classical conventions; `changes` update sections."""
    values = small_recipe().model_dump(mode="json", exclude_none=True)
    values["input"]["warp"] = "top_down"
    values["codec"] |= CODEC
    values["augmentation"] = AUGMENTATION
    values["base_losses"] = {"joints_mse": 1.0}
    values["adversarial_focal"]["place"] = "peak"
    for section, update in changes.items():
        values[section] = values[section] | update
    return values


def classical_recipe(**changes: dict[str, Any]) -> Recipe:
    return parse_recipe(classical_values(**changes), "a test")


def test_a_classical_recipe_trains_and_its_bundle_serves_the_same_conventions(tmp_path: Path) -> None:
    recipe = classical_recipe()
    run = run_recipe(recipe, tmp_path / "run")
    losses = [record["base_loss"] for record in run.read_metrics()]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    manifest, _ = export_bundle(run, tmp_path / "bundle", None)
    manifest = BundleManifest.load(tmp_path / "bundle")
    assert manifest.codec == recipe.keypoint_codec
    assert (manifest.codec.alignment, manifest.codec.encoding, manifest.codec.decoding) == tuple(CODEC.values())
    assert (manifest.input.warp, manifest.input.reduction) == ("top_down", "none")
    # The served crop is the trained one.
    sample = validation_samples(recipe)[0]
    trained, size = recipe.input.crop_transform(sample.box), recipe.input
    served = manifest.crop_transform(sample.box)
    original = CropTransform.around(sample.box, size.width, size.height, size.padding, "top_down")
    assert np.array_equal(served.matrix, trained.matrix)
    assert np.array_equal(served.extract(sample.read_image()), original.extract(sample.read_image()))
    # Points of a quarter step lie on quarters of a cell, that is on whole crop pixels at stride 4.
    found = estimate_in_process(tmp_path / "bundle", manifest)(sample.read_image(), sample.box)
    in_crop = served.to_crop(found.points_in_image_K2)
    assert np.abs(in_crop - np.round(in_crop)).max() < 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"codec": {"decoding": "dark"}},
            "codec: expected blur_kernel with decoding dark or dark_udp and with no other",
        ),
        ({"codec": {"blur_kernel": 11}}, "found decoding quarter_step and blur_kernel 11"),
        ({"codec": {"decoding": "dark", "blur_kernel": 10}}, r"codec\.blur_kernel: expected an odd number of cells"),
        ({"input": {"warp": "corner"}}, r"input\.warp: .*'half_pixel', 'top_down' or 'udp', found 'corner'"),
        ({"augmentation": {"upper_body": [0, 5]}}, "augmentation.upper_body names a keypoint beyond the 5 there are"),
        ({"augmentation": {"upper_body": []}}, r"half_body_share is 0\.3, but upper_body names no keypoint"),
        ({"augmentation": {"shift": 0.1}}, r"unknown key augmentation\.shift"),
        ({"augmentation": {"name": "other"}}, r"augmentation: .*'other'"),
    ],
)
def test_an_impossible_choice_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        classical_recipe(**changes)


def test_dark_in_a_recipe_has_the_kernel_that_it_names() -> None:
    recipe = classical_recipe(codec={"decoding": "dark", "blur_kernel": 17})
    assert recipe.keypoint_codec.blur_kernel == 17


def test_no_convention_is_chosen_silently() -> None:
    for section, key in (("input", "warp"), ("codec", "alignment"), ("codec", "encoding"), ("augmentation", "name")):
        values = recipe_values()
        del values[section][key]
        with pytest.raises(RecipeError, match=f"{section}.*{key}|{section}: .*'{key}'"):
            parse_recipe(values, "a test")


def test_the_shipped_recipes_have_our_own_conventions() -> None:
    for name in ("drawn_faces", "face68"):
        codec = parse_recipe(recipe_values(name), name).keypoint_codec
        assert codec == KeypointCodec(
            codec.heatmap_width, codec.heatmap_height, 4, codec.sigma, "soft_argmax", "half_pixel", "gaussian"
        )
