"""Each check on a small set that has the fault it looks for, beside one that has none."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.data.synthetic import draw_samples
from model_export.data_check.flip_pairs import pairs_against_names, pairs_against_points
from model_export.data_check.objects import (
    hidden_points_with_coordinates,
    keypoints_never_seen,
    missing_boxes_and_areas,
    points_outside,
    same_annotations,
)
from model_export.data_check.pictures import (
    pictures_in_both,
    read_pictures,
    same_pictures,
    unlabelled_pictures,
    unreadable_pictures,
)
from model_export.data_check.problem import Problem
from model_export.data_check.sample_drawing import draw_objects
from service.contract.bundle_manifest import Keypoints
from service.contract.crop_transform import Box
from service.contract.skeleton import read_skeleton, shipped_skeletons

EYES_AND_MORE = Keypoints(
    names=("right_eye", "left_eye", "nose", "mouth_right", "mouth_left", "right_ear", "left_ear"),
    flip_pairs=((0, 1), (3, 4), (5, 6)),
)


def sample(path: Path, points: list[list[float]], **values: object) -> KeypointSample:
    made = KeypointSample(ImageFile(path), np.array(points), np.ones(len(points), bool), path.stem, image_id=path.name)
    return dataclasses.replace(made, **values)  # type: ignore[arg-type]


def write(path: Path, seed: int) -> Path:
    """A picture of 20 x 10 that the seed decides."""
    pixels = np.random.default_rng(seed).integers(0, 256, (10, 20, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def found(problems: Iterable[Problem]) -> list[tuple[str, str, str]]:
    return [(problem.check, problem.severity, problem.where) for problem in problems]


def test_pictures_of_the_same_pixels_are_found_whatever_their_files(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 1)
    write(tmp_path / "b.bmp", 1)  # the same pixels in another file format
    write(tmp_path / "c.png", 2)
    (tmp_path / "copy.png").write_bytes((tmp_path / "c.png").read_bytes())
    write(tmp_path / "other.png", 3)
    samples = [sample(tmp_path / name, [[1, 1]]) for name in ("a.png", "b.bmp", "c.png")]
    pictures = read_pictures(samples, lambda: None)
    (same,) = same_pictures(samples, pictures)
    assert (same.where, same.detail) == ("a.png", "the same pixels as b.bmp")
    note, copy = unlabelled_pictures(samples)
    assert "2 files beside the labelled ones" in note.detail
    assert (copy.where, copy.check) == (str(tmp_path / "copy.png"), "same_picture")
    assert found(pictures_in_both(samples[:1], samples[1:2], pictures)) == [("picture_in_both", "error", "b.bmp")]
    assert found(pictures_in_both(samples[:1], samples[2:], pictures)) == []


def test_an_unreadable_picture_is_an_error_and_no_other_check_trips_over_it(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    samples = [sample(tmp_path / "text.png", [[1, 1]]), sample(tmp_path / "absent.png", [[900, 1]])]
    pictures = read_pictures(samples, lambda: None)
    text, absent = unreadable_pictures(pictures)
    assert "text.png cannot be decoded" in text.detail
    assert "absent.png cannot be read" in absent.detail
    for check in (same_pictures, same_annotations, points_outside):
        assert found(check(samples, pictures)) == []


def test_the_same_points_twice_are_an_error_on_one_picture_and_a_warning_on_two(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 1)
    write(tmp_path / "b.png", 2)
    first, again = (sample(tmp_path / "a.png", [[1, 1], [2, 3]], origin=name) for name in ("line 2", "line 3"))
    elsewhere = sample(tmp_path / "b.png", [[1, 1], [2, 3]], origin="line 4")
    different = sample(tmp_path / "a.png", [[1, 1], [2, 3.5]], origin="line 5")
    samples = [first, again, elsewhere, different]
    assert found(same_annotations(samples, read_pictures(samples, lambda: None))) == [
        ("same_annotation", "error", "line 3"),
        ("same_annotation", "warning", "line 4"),
    ]


def test_a_point_may_reach_to_the_outer_edge_of_the_last_pixel(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 1)  # 20 x 10
    points = [[-0.5, 9.5], [19.5, 0], [-0.6, 0], [0, 9.7], [29.5, 0], [29.6, 0]]
    samples = [sample(tmp_path / "a.png", points, visible=np.array([True] * 6))]
    problems = list(points_outside(samples, read_pictures(samples, lambda: None)))
    assert [(p.detail[:10], p.severity) for p in problems] == [
        ("keypoint 2", "warning"),
        ("keypoint 3", "warning"),
        ("keypoint 4", "warning"),  # 10 beyond, half of the longer side: training still takes it
        ("keypoint 5", "error"),
    ]


def test_coordinates_of_hidden_keypoints_and_keypoints_that_no_object_has_are_named(tmp_path: Path) -> None:
    hidden = np.array([True, False, False])
    stray = sample(tmp_path / "a.png", [[1, 1], [4, 4], [0, 0]], visible=hidden)
    clean = sample(tmp_path / "b.png", [[1, 1], [0, 0], [0, 0]], visible=hidden)
    (problem,) = hidden_points_with_coordinates([stray, clean])
    assert (problem.where, problem.detail[-3:]) == ("a", ": 1")
    assert [p.where for p in keypoints_never_seen([stray, clean], ("x", "y", "z"))] == [
        "keypoint 1 (y)",
        "keypoint 2 (z)",
    ]


def test_a_missing_box_or_area_is_a_warning_where_others_have_one_and_a_note_where_none_has(tmp_path: Path) -> None:
    bare = sample(tmp_path / "a.png", [[1, 1]])
    whole = sample(tmp_path / "b.png", [[1, 1]], annotated_box=Box(0, 0, 5, 5), area=20.0)
    no_area = sample(tmp_path / "c.png", [[1, 1]], annotated_box=Box(0, 0, 5, 5), area=0.0)
    assert found(missing_boxes_and_areas([bare])) == [
        ("no_box", "note", "all objects"),
        ("no_area", "note", "all objects"),
    ]
    assert found(missing_boxes_and_areas([whole, bare, no_area])) == [
        ("no_box", "warning", "a"),
        ("no_area", "warning", "a"),
        ("no_area", "warning", "c"),
    ]


def faces(count: int, seed: int) -> list[KeypointSample]:
    """Drawn faces turned any way, with ears: `EYES_AND_MORE`."""
    samples = []
    random = np.random.default_rng(seed)
    for drawn in draw_samples(count, seed):
        eyes = drawn.points_in_image[:2]
        points = np.vstack([drawn.points_in_image, eyes + 0.4 * (eyes - eyes[::-1])])
        angle = random.uniform(0, 2 * np.pi)
        turned = points @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        samples.append(dataclasses.replace(drawn, points_in_image=turned, visible=random.random(7) < 0.9))
    return samples


def test_a_pair_whose_sides_are_exchanged_in_the_labels_is_found_however_objects_are_turned() -> None:
    samples = faces(40, 3)
    assert list(pairs_against_points(samples, EYES_AND_MORE)) == []
    order = [0, 1, 2, 4, 3, 5, 6]  # the mouth's corners exchanged
    exchanged = [
        dataclasses.replace(s, points_in_image=s.points_in_image[order], visible=s.visible[order]) for s in samples
    ]
    (problem,) = pairs_against_points(exchanged, EYES_AND_MORE)
    assert problem.where == "keypoints 4 and 3 (mouth_left, mouth_right)"
    assert "100% of" in problem.detail


def test_a_pair_without_named_sides_has_none_to_exchange() -> None:
    unnamed = EYES_AND_MORE.model_copy(update={"names": ("a", "b", "c", "d", "e", "f", "g")})
    backwards = unnamed.model_copy(update={"flip_pairs": ((0, 1), (4, 3), (5, 6))})
    assert list(pairs_against_points(faces(40, 3), backwards)) == []


@pytest.mark.parametrize(
    ("names", "pairs", "expected"),
    [
        (("left_eye", "right_eye"), ((0, 1),), []),
        (("left_eye", "right_eye"), (), ["keypoints"]),
        (("left_eye", "right_eye", "a", "b"), ((2, 3),), ["keypoint 0 (left_eye)", "keypoint 1 (right_eye)"]),
        (("eyeL", "eyeR", "earL", "earR"), ((0, 3), (1, 2)), [f"keypoint {k}" for k in range(4)]),
        (("paw1LH_top", "paw2RH_top", "tail"), ((0, 1),), []),
        (("paw1LH", "paw2LF", "paw3RF", "paw4RH"), ((0, 2), (1, 3)), [f"keypoint {k}" for k in range(4)]),
        (("left_brow_0", "left_brow_1", "right_brow_0", "right_brow_1"), ((0, 3), (1, 2)), []),
        (("left_half", "bright_spot", "ball"), (), []),  # nothing has a namesake
    ],
)
def test_a_side_in_a_name_asks_for_its_partner(
    names: tuple[str, ...], pairs: tuple[tuple[int, int], ...], expected: list[str]
) -> None:
    problems = list(pairs_against_names(Keypoints(names=names, flip_pairs=pairs)))
    assert len(problems) == len(expected)
    assert all(p.where.startswith(where) for p, where in zip(problems, expected, strict=True))


@pytest.mark.parametrize("name", shipped_skeletons())
def test_the_shipped_skeletons_pass(name: str) -> None:
    assert list(pairs_against_names(read_skeleton(name, Path()))) == []


def test_points_are_drawn_where_they_are(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 1)  # enlarged 24 times to 480 x 240
    drawn = draw_objects(
        np.zeros((10, 20, 3), np.uint8), [sample(tmp_path / "a.png", [[3, 4], [15, 6]])], Keypoints(names=("a", "b"))
    )
    assert drawn.shape == (240, 480, 3)
    # The middle of pixel (3, 4) is blue and that of (15, 6) red, for indices run from blue to red.
    blue, red = drawn[int(4.5 * 24), int(3.5 * 24)].astype(int), drawn[int(6.5 * 24), int(15.5 * 24)].astype(int)
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    assert drawn[20, 20].tolist() == [0, 0, 0]
