"""Augmentation: labels follow their pixels, and nothing is drawn from hidden state."""

import numpy as np
import pytest

from model_export.augmentation import change_pixels, random_crop_transform, swap_flip_pairs
from model_export.augmentation_sections import RobustAugmentation
from model_export.data.dataset import TrainingCrops, ValidationCrops
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.synthetic import draw_samples
from model_export.recipe import Input
from service.contract.crop_transform import Box, Warp
from service.contract.keypoint_codec import KeypointCodec

SIZE = Input(width=64, height=64, padding=1.25, warp="half_pixel")
CODEC = KeypointCodec(16, 16, 4, 1.0, "soft_argmax")
FLIP_PAIRS = ((0, 1), (3, 4))


def augmentation(**changes: object) -> RobustAugmentation:
    values: dict[str, object] = {
        "name": "robust",
        "scale": (0.7, 1.4),
        "shift": 0.1,
        "rotation_degrees": 30.0,
        "flip_share": 0.5,
        "wide_share": 0.3,
        "wide_scale": 4.0,
        "photometric_share": 0.0,
        "blur_share": 0.0,
        "occlusion_share": 0.0,
    }
    return RobustAugmentation.model_validate(values | changes)


def crops(settings: RobustAugmentation, count: int = 40) -> TrainingCrops:
    return TrainingCrops(draw_samples(count, seed=3), SIZE, CODEC, settings, FLIP_PAIRS, seed=0, mirrored_epochs=9)


def dot_sample() -> KeypointSample:
    """Two keypoints told apart by colour: a red dot and a green one."""
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:23, 20:23, 0] = 255
    image[40:43, 50:53, 1] = 255
    return KeypointSample(lambda: image, np.array([[21.0, 21.0], [51.0, 41.0]]), np.ones(2, dtype=bool), "dots")


@pytest.mark.parametrize("index", range(20))
def test_a_label_stays_on_its_pixels(index: int) -> None:
    settings = augmentation(flip_share=0.0, scale=(0.9, 1.1), wide_share=0.0)
    sample = TrainingCrops([dot_sample()], SIZE, CODEC, settings, (), seed=index, mirrored_epochs=9)[0, 0]
    crop = sample["crop"].numpy().astype(float)
    rows, columns = np.mgrid[:64, :64]
    margin = 5  # the dots are 5 crop pixels wide: nearer to the edge they are cut
    for channel, label in enumerate(sample["points_in_crop"].numpy()):
        if ((label > margin) & (label < 63 - margin)).all():
            weight = crop[..., channel]
            found = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
            # Measured: at most 0.02 px.
            assert np.abs(found - label).max() < 0.05


def test_flipped_labels_change_sides_with_their_names() -> None:
    both = [crops(augmentation(flip_share=share, rotation_degrees=0.0)) for share in (0.0, 1.0)]
    for index in range(20):
        plain, mirrored = (each[0, index]["points_in_crop"].numpy() for each in both)
        # Without rotation the subject's right eye (0) is on the left of the crop in both.
        assert plain[0, 0] < plain[1, 0]
        assert mirrored[0, 0] < mirrored[1, 0]
        assert np.allclose(mirrored[:, 0], 63 - swap_flip_pairs(plain, FLIP_PAIRS)[:, 0], atol=1e-3)


def test_the_keypoint_that_is_seen_changes_its_name_with_its_place() -> None:
    """Of the dots only the red one, the left of the pair, is labelled: mirrored, it is the right one."""
    dots = dot_sample()
    red_only = KeypointSample(dots.read_image, dots.points_in_image, np.array([True, False]), "dots")
    settings = augmentation(scale=(0.9, 1.1), rotation_degrees=0.0, shift=0.0, wide_share=0.0, flip_share=1.0)
    mirrored = TrainingCrops([red_only], SIZE, CODEC, settings, ((0, 1),), seed=0, mirrored_epochs=9)[0, 0]
    assert mirrored["visible"].tolist() == [False, True]
    x, y = mirrored["points_in_crop"][1].round().int().tolist()
    red, green, _ = mirrored["crop"][y, x].tolist()
    assert red > 200
    assert green == 0


def test_settling_epochs_are_not_mirrored() -> None:
    settings = augmentation(flip_share=1.0, rotation_degrees=0.0)
    (sample,) = samples = draw_samples(1, seed=3)
    assert sample.points_in_image[0, 0] != sample.points_in_image[1, 0]
    pairless = TrainingCrops(samples, SIZE, CODEC, settings, (), seed=0, mirrored_epochs=2)
    right_eye_is_left = [
        bool(np.diff(pairless[epoch, 0]["points_in_crop"].numpy()[:2, 0])[0] > 0) for epoch in range(4)
    ]
    assert right_eye_is_left == [False, False, True, True]


def test_a_keypoint_outside_the_crop_is_not_visible() -> None:
    samples = crops(augmentation(scale=(0.4, 0.4), shift=0.5))
    seen = 0
    for index in range(len(samples)):
        sample = samples[0, index]
        points = sample["points_in_crop"].numpy()
        inside = ((points > -0.5) & (points < 63.5)).all(axis=1)
        assert sample["visible"].numpy().tolist() == inside.tolist()
        seen += int((~inside).sum())
    assert seen > 0


def test_a_crop_depends_on_seed_epoch_and_index_alone() -> None:
    settings = augmentation(photometric_share=1.0, blur_share=1.0, occlusion_share=1.0)
    first, again = crops(settings), crops(settings)
    assert np.array_equal(first[2, 5]["crop"].numpy(), again[2, 5]["crop"].numpy())
    assert not np.array_equal(first[2, 5]["crop"].numpy(), first[3, 5]["crop"].numpy())


def test_wide_views_reach_from_the_object_to_the_whole_picture() -> None:
    image, box = np.zeros((400, 400, 3), np.uint8), Box(150, 150, 100, 100)
    settings = augmentation(wide_share=1.0)
    random = np.random.default_rng(0)
    shown = [64 / 1.25 / random_crop_transform(image, box, SIZE, settings, random).scale / 100 for _ in range(300)]
    assert min(shown) == pytest.approx(1.0, abs=0.05)
    assert max(shown) == pytest.approx(4.0 * np.exp(0.1), abs=0.2)


@pytest.mark.parametrize("warp", ["half_pixel", "top_down", "udp"])
@pytest.mark.parametrize(("width", "height"), [(64, 64), (48, 64), (96, 64)])
@pytest.mark.parametrize("box", [Box(20, 10, 50, 100), Box(20, 10, 100, 50)])
def test_with_nothing_random_training_sees_what_validation_sees(warp: Warp, width: int, height: int, box: Box) -> None:
    size = Input(width=width, height=height, padding=1.25, warp=warp)
    still = augmentation(scale=(1.0, 1.0), shift=0.0, rotation_degrees=0.0, flip_share=0.0, wide_share=0.0)
    found = random_crop_transform(np.zeros((150, 150, 3), np.uint8), box, size, still, np.random.default_rng(0))
    assert np.allclose(found.matrix, size.crop_transform(box).matrix, atol=1e-12)


def test_wide_views_of_an_upright_crop_show_the_whole_picture_at_most() -> None:
    """A box of 50 x 100 fills a crop of 3 : 4 from 75 x 100; 400 pixels of width are 400 / 75 of that."""
    image, box = np.zeros((400, 400, 3), np.uint8), Box(150, 150, 50, 100)
    size = Input(width=48, height=64, padding=1.25, warp="half_pixel")
    random = np.random.default_rng(0)
    settings = augmentation(wide_share=1.0, wide_scale=9.0)
    shown = [64 / 1.25 / random_crop_transform(image, box, size, settings, random).scale / 100 for _ in range(300)]
    assert min(shown) == pytest.approx(1.0, abs=0.05)
    assert max(shown) == pytest.approx(400 / 75 * np.exp(0.1), abs=0.3)


def test_pixels_change_only_when_asked_to() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.array_equal(change_pixels(crop, augmentation(), np.random.default_rng(1)), crop)
    for kind in ("photometric_share", "blur_share", "occlusion_share"):
        changed = change_pixels(crop, augmentation(**{kind: 1.0}), np.random.default_rng(1))
        assert changed.dtype == np.uint8
        assert not np.array_equal(changed, crop), kind


def test_validation_crops_are_those_that_the_service_cuts() -> None:
    (sample,) = draw_samples(1, seed=0)
    crop = ValidationCrops([sample], SIZE)[0]
    low, high = crop["points_in_crop"].numpy().min(axis=0), crop["points_in_crop"].numpy().max(axis=0)
    assert np.allclose((low + high) / 2, 31.5, atol=1e-3)
    assert (high - low).max() == pytest.approx(64 / 1.25, rel=0.05)
