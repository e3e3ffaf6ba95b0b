"""Recipes: complete, strict, and clear about what is wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from model_export.adversarial_focal_section import FORMS, AdversarialFocal
from model_export.devices import check_whole_batch
from model_export.errors import RecipeError
from model_export.recipe import AnnotatedData, load_recipe, parse_recipe
from model_export.skeleton import resolve_skeleton
from tests.model_export.recipes import recipe_values, shipped_recipe_path

OKS = {"kind": "oks", "area": "annotated", "keypoint_score_above": 0.2, "nms_above": 0.9}


def nme(keypoints: Sequence[int] = (0, 1), thresholds: Sequence[float] = (0.1,)) -> dict[str, Any]:
    """An NME metric as a recipe writes it."""
    normaliser = {"kind": "keypoint_distance", "keypoints": list(keypoints), "name": "a pair"}
    return {"kind": "nme", "thresholds": list(thresholds), "normaliser": normaliser}


@pytest.mark.parametrize("name", ["face68", "drawn_faces", "compare_lspet", "compare_ytf68", "compare_ceph"])
def test_every_shipped_recipe_is_valid(name: str) -> None:
    recipe = load_recipe(shipped_recipe_path(name))
    assert recipe.name == name
    assert recipe.keypoint_codec.heatmap_width == recipe.input.width // recipe.codec.stride


SETTLING = recipe_values()["optimisation"]["schedule"]


def test_the_face_recipe_names_68_keypoints_and_every_one_has_its_mirror_image() -> None:
    keypoints = load_recipe(shipped_recipe_path("face68")).keypoints
    assert len(keypoints.names) == 68
    paired = {index for pair in keypoints.flip_pairs for index in pair}
    on_the_middle_line = {8, 27, 28, 29, 30, 33, 51, 57, 62, 66}
    assert paired | on_the_middle_line == set(range(68))
    assert not paired & on_the_middle_line


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("optimisation", "epoch", 3, "unknown key optimisation.epoch"),
        ("optimisation", "epochs", 0, "optimisation.epochs: Input should be greater than 0, found 0"),
        ("optimisation", "batch_size", "many", "optimisation.batch_size: .*integer.*, found 'many'"),
        (
            "optimisation",
            "schedule",
            SETTLING | {"settling_epochs": 8},
            "settling_epochs is 8, expected fewer than epo",
        ),
        ("optimisation", "schedule", SETTLING | {"warm_up": 1}, r"unknown key optimisation\.schedule\.warm_up"),
        ("optimisation", "schedule", {"name": "cosine"}, r"optimisation\.schedule: .*one_cycle.*drops"),
        ("input", "width", 66, "input.width is 66, which codec.stride 4 does not divide"),
        ("evaluation", "metrics", [], "evaluation.metrics: .*at least 1 item"),
        ("evaluation", "metrics", [{"kind": "map"}], r"evaluation\.metrics\.0: .*'nme'.*'oks'"),
        ("evaluation", "metrics", [{"kind": "epe", "unit": "mm"}], r"unknown key evaluation\.metrics\.0\.unit"),
        ("evaluation", "metrics", [nme(keypoints=[0, 9])], r"normaliser\.keypoints names keypoint 9, beyond the 5"),
        ("evaluation", "metrics", [nme(thresholds=[0.1, 0.08])], r"metrics\.0\.thresholds: expected rising numbers"),
        ("evaluation", "metrics", [{"kind": "pckh", "left_out": [6]}], r"left_out names keypoint 6, beyond the 5"),
        ("evaluation", "metrics", [OKS], r"metrics\.0 takes OKS, which needs keypoints\.oks_sigmas"),
        ("evaluation", "metrics", [nme(keypoints=[0, 0])], r"normaliser\.keypoints: expected two different keypoints"),
        ("evaluation", "metrics", [nme(keypoints=[-1, -9])], r"normaliser\.keypoints\.0: .*greater than or equal to 0"),
        ("adversarial_focal", "critic_betas", [0.5, 1.0], r"adversarial_focal\.critic_betas\.1: .*less than 1"),
        ("optimisation", "average_decay", 1.0, r"optimisation\.average_decay: .*less than 1, found 1\.0"),
        ("augmentation", "scale", [1.5, 0.7], r"augmentation\.scale: expected the least factor and then the greatest"),
        ("adversarial_focal", "place", "somewhere", "adversarial_focal.place: .*found 'somewhere'"),
        ("keypoints", "flip_pairs", [[0, 7]], "names a keypoint beyond the 5 there are"),
        ("data", "format", "xml", r"data\.format: .*csv.*synthetic, found 'xml'"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_found(section: str, key: str, value: Any, message: str) -> None:
    values = recipe_values()
    values[section][key] = value
    with pytest.raises(RecipeError, match=f"a.toml: .*{message}"):
        parse_recipe(values, "a.toml")


def with_afl(**afl: Any) -> AdversarialFocal:
    return parse_recipe(recipe_values() | {"adversarial_focal": afl}, "a.toml").adversarial_focal


def test_one_word_is_algorithm_two_as_printed() -> None:
    """Each setting by hand: the literal reading, and for what is not printed the numbers of docs/afl.md."""
    printed = with_afl(form="as_printed")
    assert printed.enabled
    assert (printed.place, printed.existence, printed.threshold) == ("thresholded_centroid", "prediction", 0.1)
    assert (printed.true_side, printed.acts_per, printed.score) == ("labels", "sample", "as_printed")
    assert (printed.weights, printed.strength, printed.drift_penalty) == ("as_printed", 1.0, 0.0)
    assert (printed.critic_warm_up_epochs, printed.control, printed.gradient_penalty) == (0, "none", 10.0)
    assert (printed.critic_learning_rate, printed.critic_betas) == (2e-4, (0.5, 0.999))
    assert not with_afl(form="none").enabled


def test_keys_beside_a_form_go_first_and_all_are_written_out() -> None:
    changed = with_afl(form="as_printed", place="peak", weights="mean_one")
    assert changed == with_afl(**(FORMS["as_printed"] | {"place": "peak", "weights": "mean_one"}))
    assert "form" not in changed.model_dump()


@pytest.mark.parametrize(
    ("afl", "accumulation", "message"),
    [
        ({"form": "focal"}, 1, r"adversarial_focal\.form: expected one of none, as_printed, shape, found 'focal'"),
        ({"enabled": True}, 1, r"missing key adversarial_focal\.place"),
        ({"form": "shape", "strength": 0}, 1, r"adversarial_focal\.strength: .*greater than 0"),
        (
            {"form": "shape", "control": "shuffled"},
            2,
            r"control = shuffled needs a whole batch .*, found 2",
        ),
        ({"form": "shape", "true_side": "better_half"}, 4, r"true_side = better_half needs a whole batch .*, found 4"),
        (
            {"form": "shape", "true_side": "better_half", "acts_per": "keypoint"},
            1,
            r"acts_per keypoint compares a",
        ),
    ],
)
def test_a_form_that_cannot_be_is_refused(afl: dict[str, Any], accumulation: int, message: str) -> None:
    values = recipe_values() | {"adversarial_focal": afl}
    values["optimisation"]["accumulation"] = accumulation
    with pytest.raises(RecipeError, match=f"a.toml: .*{message}"):
        parse_recipe(values, "a.toml")


def test_a_form_that_needs_a_whole_batch_takes_one_device() -> None:
    with pytest.raises(RecipeError, match=r"control = uniform needs a whole batch .* one device, found 2"):
        check_whole_batch(with_afl(form="shape", control="uniform"), devices=2)
    check_whole_batch(with_afl(form="none", control="uniform"), devices=2)
    check_whole_batch(with_afl(form="shape"), devices=2)


def test_a_missing_key_is_named() -> None:
    values = recipe_values()
    del values["data"]["train_count"]
    with pytest.raises(RecipeError, match=r"missing key data\.train_count"):
        parse_recipe(values, "a.toml")


def test_a_recipe_that_is_not_there_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"absent\.toml cannot be read: No such file"):
        load_recipe(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("name = ", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"broken\.toml is not valid TOML"):
        load_recipe(tmp_path / "broken.toml")


def test_a_relative_data_folder_lies_below_the_one_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = AnnotatedData(format="csv", root="faces", train="train.csv", validation="val.csv")
    monkeypatch.delenv("FOCALPOINT_DATA", raising=False)
    with pytest.raises(RecipeError, match=r"data\.root is 'faces'.*FOCALPOINT_DATA"):
        data.folder()
    monkeypatch.setenv("FOCALPOINT_DATA", str(tmp_path))
    with pytest.raises(RecipeError, match=r"data\.root: there is no folder .*faces"):
        data.folder()
    (tmp_path / "faces").mkdir()
    assert data.folder() == tmp_path / "faces"


def test_pictures_are_mirrored_only_where_the_recipe_says_what_changes_sides(tmp_path: Path) -> None:
    values = recipe_values()
    del values["keypoints"]["flip_pairs"]
    message = r"augmentation\.flip_share is 0\.5, which needs keypoints\.flip_pairs: .* or \[\] for an object without"
    with pytest.raises(RecipeError, match=message):
        parse_recipe(values, "a.toml")
    without_sides = values | {"keypoints": values["keypoints"] | {"flip_pairs": []}}
    assert parse_recipe(without_sides, "a.toml").keypoints.flip_pairs == ()
    unmirrored = values | {"augmentation": values["augmentation"] | {"flip_share": 0.0}}
    assert parse_recipe(unmirrored, "a.toml").keypoints.flip_pairs == ()
    # A skeleton file that does not say it leaves it unsaid.
    names = values["keypoints"]["names"]
    (tmp_path / "own.toml").write_text(f"names = {names}\n", encoding="utf-8")
    by_file = values | {"keypoints": {"skeleton": "own.toml"}}
    with pytest.raises(RecipeError, match=message):
        parse_recipe(resolve_skeleton(by_file, tmp_path), "a.toml")
    (tmp_path / "own.toml").write_text(f"names = {names}\nflip_pairs = []\n", encoding="utf-8")
    assert parse_recipe(resolve_skeleton(by_file, tmp_path), "a.toml").keypoints.names == tuple(names)
