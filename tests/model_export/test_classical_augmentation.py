"""The classical augmentation: the originals' algebra on the same draws, and their probabilities."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model_export.augmentation_sections import ClassicalAugmentation
from model_export.classical_augmentation import classical_crop_transform, half_body_box
from model_export.data.dataset import TrainingCrops
from model_export.data.keypoint_sample import KeypointSample
from model_export.recipe import Input
from service.contract.crop_transform import Box, CropTransform, Warp
from service.contract.keypoint_codec import KeypointCodec

UPPER = tuple(range(11))
TOP_DOWN = Input(width=192, height=256, padding=1.25, warp="top_down")
CODEC = KeypointCodec(48, 64, 4, 2.0, "quarter_step", "stride", "rounded_gaussian")


def settings(**changes: object) -> ClassicalAugmentation:
    hrnet_on_coco: dict[str, object] = {
        "name": "classical",
        "scale_factor": 0.35,
        "rotation_factor": 45.0,
        "rotation_share": 0.6,
        "flip_share": 0.5,
        "half_body_share": 0.3,
        "half_body_above": 8,
        "half_body_padding": 1.5,
        "upper_body": UPPER,
    }
    return ClassicalAugmentation.model_validate(hrnet_on_coco | changes)


def person(visible: int = 17) -> KeypointSample:
    """Seventeen keypoints from head to feet in a picture of noise, the first `visible` of them labelled."""
    random = np.random.default_rng(5)
    points = np.column_stack([random.uniform(100, 220, 17), np.linspace(40, 400, 17)])
    image = random.integers(0, 256, (480, 320, 3), dtype=np.uint8)
    return KeypointSample(lambda: image, points, np.arange(17) < visible, "a test", Box(90, 30, 140, 390))


def originals_matrix(sample: KeypointSample, random: np.random.Generator) -> NDArray[np.float64]:
    """Centre and scale in units of 200 pixels, step by step as the original changes them, then the similarity."""
    ratio, box = 192 / 256, sample.box
    c = np.array([box.x + box.width * 0.5, box.y + box.height * 0.5])
    w, h = box.width, box.height
    s = np.array([max(w, h * ratio), max(h, w / ratio)]) / 200 * 1.25
    if sample.visible.sum() > 8 and random.random() < 0.3:
        joints = sample.points_in_image
        upper = [joints[i] for i in range(17) if sample.visible[i] and i in UPPER]
        lower = [joints[i] for i in range(17) if sample.visible[i] and i not in UPPER]
        if random.standard_normal() < 0.5 and len(upper) > 2:
            selected = np.array(upper)
        else:
            selected = np.array(lower if len(lower) > 2 else upper)
        c = selected.mean(axis=0)
        w, h = selected.max(axis=0) - selected.min(axis=0)
        if w > ratio * h:
            h = w / ratio
        elif w < ratio * h:
            w = h * ratio
        s = np.array([w, h]) / 200 * 1.5
    s = s * np.clip(random.standard_normal() * 0.35 + 1, 0.65, 1.35)
    r = np.clip(random.standard_normal() * 45, -90, 90) if random.random() <= 0.6 else 0.0
    cos, sin = np.cos(np.deg2rad(r)) * 192 / (s[0] * 200), np.sin(np.deg2rad(r)) * 192 / (s[0] * 200)
    matrix = np.array([[cos, -sin, 96 - cos * c[0] + sin * c[1]], [sin, cos, 128 - sin * c[0] - cos * c[1]]])
    if random.random() < 0.5:
        matrix[0] = np.array([0, 0, 192]) - matrix[0]
    return matrix


@pytest.mark.parametrize("visible", [17, 12, 9, 8, 3])
def test_the_crop_is_the_originals_for_the_same_draws(visible: int) -> None:
    sample = person(visible)
    for seed in range(200):
        found = classical_crop_transform(sample, TOP_DOWN, settings(), np.random.default_rng(seed))
        expected = originals_matrix(sample, np.random.default_rng(seed))
        assert np.allclose(found.matrix, expected, atol=1e-9), seed


def test_scale_turn_and_mirror_come_with_the_originals_probabilities() -> None:
    random, plain = np.random.default_rng(0), TOP_DOWN.crop_transform(person().box)
    drawn = [classical_crop_transform(person(), TOP_DOWN, settings(half_body_share=0), random) for _ in range(4000)]
    growth = np.array([plain.scale / transform.scale for transform in drawn])
    assert 0.65 - 1e-9 <= growth.min() < 0.66
    assert 1.34 < growth.max() <= 1.35 + 1e-9
    # A third of a normal's draws lie beyond one deviation: clipped.
    assert np.mean(np.abs(growth - 1) > 0.35 - 1e-9) == pytest.approx(0.317, abs=0.03)
    mirrored = np.array([np.linalg.det(transform.matrix[:, :2]) < 0 for transform in drawn])
    assert mirrored.mean() == pytest.approx(0.5, abs=0.03)
    turn = np.array([np.degrees(np.arctan2(transform.matrix[1, 0], transform.matrix[1, 1])) for transform in drawn])
    assert np.mean(np.abs(turn) > 1e-9) == pytest.approx(0.6, abs=0.03)
    assert np.abs(turn).max() == pytest.approx(90)
    assert np.std(turn[np.abs(turn) > 1e-9]) == pytest.approx(43.8, abs=2)  # 45, but for the clipping


def test_half_bodies_are_upper_ones_69_times_of_100() -> None:
    random = np.random.default_rng(1)
    boxes = [half_body_box(person(), TOP_DOWN, UPPER, random) for _ in range(3000)]
    upper = np.mean([box is not None and box.middle[1] < 220 for box in boxes])
    assert upper == pytest.approx(0.6915, abs=0.03)


@pytest.mark.parametrize("warp", ["half_pixel", "top_down", "udp"])
def test_half_a_body_lies_around_the_mean_of_its_keypoints_in_every_warp(warp: Warp) -> None:
    size = TOP_DOWN.model_copy(update={"warp": warp})
    box = half_body_box(person(visible=11), size, UPPER, np.random.default_rng(0))
    assert box is not None
    transform = CropTransform.around(box, 192, 256, 1.0, warp)
    mean = person().points_in_image[:11].mean(axis=0)
    assert np.allclose(transform.to_crop(mean), (96, 128) if warp == "top_down" else (95.5, 127.5))


def test_keypoints_in_one_place_are_no_half_body() -> None:
    sample = person()
    flat = KeypointSample(sample.read_image, np.full((17, 2), 50.0), sample.visible, "a test", sample.box)
    assert half_body_box(flat, TOP_DOWN, UPPER, np.random.default_rng(0)) is None
    one = KeypointSample(sample.read_image, sample.points_in_image, np.arange(17) == 3, "a test", sample.box)
    assert half_body_box(one, TOP_DOWN, UPPER, np.random.default_rng(0)) is None
    assert classical_crop_transform(flat, TOP_DOWN, settings(half_body_share=1), np.random.default_rng(0)).scale > 0


def test_training_crops_are_the_unchanged_pixels_of_the_drawn_view_and_depend_on_seed_epoch_and_index() -> None:
    crops = TrainingCrops([person()] * 3, TOP_DOWN, CODEC, settings(), ((0, 1),), seed=7, mirrored_epochs=9)
    transform = classical_crop_transform(person(), TOP_DOWN, settings(), np.random.default_rng((7, 4, 2)))
    found = crops[4, 2]
    assert np.array_equal(found["crop"].numpy(), transform.extract(person().read_image()))
    assert not np.array_equal(found["crop"].numpy(), crops[5, 2]["crop"].numpy())


def test_a_keypoint_just_outside_the_crop_counts_while_its_gaussian_shows() -> None:
    settings_without_chance = settings(scale_factor=0, rotation_share=0, flip_share=0, half_body_share=0)
    sample = person()
    # In the crop: 20 px left of it (its Gaussian of 6 cells reaches in), 40 px left of it, inside.
    points = sample.points_in_image.copy()
    points[:3] = TOP_DOWN.crop_transform(sample.box).to_image(np.array([[-20.0, 100], [-40, 100], [50, 100]]))
    moved = KeypointSample(sample.read_image, points, sample.visible, "a test", sample.box)
    crops = TrainingCrops([moved], TOP_DOWN, CODEC, settings_without_chance, (), seed=0, mirrored_epochs=9)
    assert crops[0, 0]["visible"].tolist()[:3] == [True, False, True]


def test_half_bodies_need_an_upper_half() -> None:
    with pytest.raises(ValueError, match=r"half_body_share is 0\.3, but upper_body names no keypoint"):
        settings(upper_body=())
