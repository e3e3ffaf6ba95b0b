"""COCO, COCO-WholeBody, MPII's JSON and the bees': what is read, what is left out, what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from model_export.data.readers import Reading, read_samples
from model_export.errors import DataError
from service.contract.crop_transform import Box

IMAGES = [{"id": 7, "file_name": "a.png", "width": 40, "height": 30}, {"id": 9, "file_name": "b.png"}]


def coco(folder: Path, *annotations: dict[str, Any], keypoint_count: int = 2, data_format: str = "coco") -> Reading:
    path = folder / "objects.json"
    path.write_text(json.dumps({"images": IMAGES, "annotations": annotations}), encoding="utf-8")
    return read_samples(data_format, path, folder / "pictures", keypoint_count)


def test_coco_keypoints_are_visible_where_they_are_labelled_seen_or_hidden(tmp_path: Path) -> None:
    reading = coco(
        tmp_path,
        {"image_id": 7, "keypoints": [1, 2.5, 2, 3, 4, 1], "bbox": [-3, 2, 50, 20], "area": 300.5, "iscrowd": 0},
        {"image_id": 9, "keypoints": [5, 6, 0.4, 0, 0, 0], "bbox": [1, 2, 50, 20]},
        {"image_id": 9, "keypoints": [5, 6, 2, 0, 0, 0]},
    )
    first, second, third = reading.samples
    assert first.points_in_image.tolist() == [[1, 2.5], [3, 4]]
    assert first.visible.tolist() == [True, True]
    assert second.visible.tolist() == [True, False]
    assert (first.area, second.area, third.area) == (300.5, None, None)
    assert [sample.image_id for sample in reading.samples] == ["7", "9", "9"]
    # The picture's size is known: cleaned as SimpleBaseline and HRNet do. It is not: as annotated.
    assert first.annotated_box == Box(0, 2, 39, 19)
    assert second.annotated_box == Box(1, 2, 50, 20)
    assert third.annotated_box is None
    assert third.box == Box(5, 6, 1, 1)


def test_coco_leaves_crowds_and_objects_without_keypoints_or_extent_out_and_counts_them(tmp_path: Path) -> None:
    labelled = {"image_id": 7, "keypoints": [1, 2, 2, 3, 4, 2]}
    reading = coco(
        tmp_path,
        labelled,
        labelled | {"iscrowd": 1},
        {"image_id": 7, "bbox": [0, 0, 5, 5]},
        {"image_id": 7, "keypoints": [0] * 6},
        labelled | {"bbox": [3, 3, 0, 9]},
        labelled | {"bbox": [60, 3, 9, 9]},  # beyond the right edge
    )
    assert len(reading.samples) == 1
    assert reading.left_out == {
        "crowd (iscrowd = 1)": 1,
        "annotation without keypoints": 1,
        "no visible keypoint": 1,
        "box without width or height": 2,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [1, 2, 2]}, r"annotations\[0\]: expected 2 keypoints of x, y, v, found 3 numbers"),
        ({"keypoints": [1, 2, 2, 3, "4", 2]}, r"annotations\[0\], keypoints: points\.4: .*valid number, found '4'"),
        ({"keypoints": [1, 2, 2, 3, float("nan"), 2]}, r"points\.4: .*finite number"),
        ({"keypoints": [1, 2, 2, 3, 2e6, 2]}, r"points\.4: .*less than or equal to 1000000"),
        ({"image_id": 8}, r"annotations\[0\]: image_id 8 stands in no entry of images"),
        ({"image_id": None}, r"annotations\[0\]: image_id\.int: .*found None"),
        ({"bbox": [1, 2, 3]}, r"annotations\[0\], bbox: expected x, y, width, height, found 3 numbers"),
        ({"area": -1}, r"annotations\[0\]: area: .*greater than or equal to 0"),
    ],
)
def test_coco_refuses_what_does_not_fit_and_names_the_object(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=rf"objects\.json.*{message}"):
        coco(tmp_path, {"image_id": 7, "keypoints": [1, 2, 2, 3, 4, 2]} | change)


def test_wholebody_joins_body_feet_face_left_and_right_hand(tmp_path: Path) -> None:
    parts = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
    value = 0
    annotation: dict[str, Any] = {"image_id": 7}
    for name, count in parts.items():
        annotation[name] = [number for k in range(count) for number in (value + k, 1, (value + k) % 2)]
        value += count
    (sample,) = coco(tmp_path, annotation, keypoint_count=133, data_format="coco_wholebody").samples
    assert sample.points_in_image[:, 0].tolist() == list(range(133))
    assert sample.visible.tolist() == [k % 2 == 1 for k in range(133)]
    with pytest.raises(DataError, match=r"annotations\[0\], face_kpts: "):
        coco(tmp_path, annotation | {"face_kpts": None}, keypoint_count=133, data_format="coco_wholebody")


PERSON = {"image": "a.png", "center": [21, 11], "scale": 0.1, "joints": [[5, 6], [-1, -1]], "joints_vis": [1, 0]}


def mpii(folder: Path, *people: dict[str, Any]) -> Reading:
    (folder / "valid.json").write_text(json.dumps(people), encoding="utf-8")
    return read_samples("mpii", folder / "valid.json", folder, 2)


def test_mpii_counts_from_one_and_its_box_is_the_shifted_square(tmp_path: Path) -> None:
    test_set = {"image": "b.png", "center": [1, 1], "scale": 1.0}
    reading = mpii(tmp_path, PERSON, test_set)
    (sample,) = reading.samples
    assert reading.left_out == {"person without joints (test set)": 1}
    assert sample.points_in_image.tolist() == [[4, 5], [0, 0]]
    assert sample.visible.tolist() == [True, False]
    # Side 200 x 0.1 about the centre (21, 11), moved down by 15 x 0.1, then one taken off.
    assert sample.box == Box(10, 1.5, 20, 20)
    assert sample.box.middle == (20.0, 11.5)
    assert sample.head_size is None
    assert sample.image_id == "a.png"


def test_mpii_takes_head_sizes_from_the_file_of_its_evaluation(tmp_path: Path) -> None:
    heads = np.array([[[10.0, 1], [20, 2]], [[40, 4], [60, 6]]])  # corner, x or y, person
    savemat(tmp_path / "gt_valid.mat", {"headboxes_src": heads})
    first, second = mpii(tmp_path, PERSON, PERSON).samples
    assert first.head_size == pytest.approx(0.6 * 50)  # corners (10, 20) and (40, 60)
    assert second.head_size == pytest.approx(0.6 * 5)
    with pytest.raises(DataError, match=r"gt_valid\.mat: expected headboxes_src .* 2 x 2 x 1"):
        mpii(tmp_path, PERSON)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0}, r"\[0\]: scale: .*greater than 0"),
        ({"center": [-1, -1]}, r"\[0\]: expected a centre and a scale above zero"),
        ({"joints": [[1, 2]]}, r"\[0\]: expected 2 joints, found 1 joints and 2 joints_vis"),
        ({"joints_vis": [1, 2]}, r"\[0\]: joints_vis\.1: "),
    ],
)
def test_mpii_refuses_what_does_not_fit_and_names_the_person(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=rf"valid\.json, {message}"):
        mpii(tmp_path, PERSON | change)


def test_bees_are_read_by_set_and_empty_pictures_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "pose.json"
    pictures = [
        {"path": "a.png", "set": "train", "keypoints": {"1": [3, 4]}},
        {"path": "b.png", "set": "train", "keypoints": {}},
        {"path": "c.png", "set": "test", "keypoints": {"0": [1, 2], "1": [3, 4]}},
    ]
    path.write_text(json.dumps(pictures), encoding="utf-8")
    everything = read_samples("bee", path, tmp_path, 2)
    assert [sample.image_id for sample in everything.samples] == ["a.png", "c.png"]
    assert everything.samples[0].visible.tolist() == [False, True]
    assert everything.samples[0].points_in_image[1].tolist() == [3, 4]
    assert everything.left_out == {"picture without a bee": 1}
    test_set = read_samples("bee", path.with_name("pose.json#test"), tmp_path, 2)
    assert [sample.image_id for sample in test_set.samples] == ["c.png"]
    assert test_set.left_out == {"picture of another set": 2}
    with pytest.raises(DataError, match=r"pose\.json, \[2\]: expected keypoints 0 to 0, found '1'"):
        read_samples("bee", path.with_name("pose.json#test"), tmp_path, 1)


def test_skip_bad_counts_faulty_objects_and_reads_the_others(tmp_path: Path) -> None:
    good: dict[str, Any] = {"image_id": 7, "keypoints": [1, 2, 2, 3, 4, 2]}
    path = tmp_path / "objects.json"
    broken = [good | {"image_id": 8}, good | {"keypoints": [1]}]
    path.write_text(json.dumps({"images": IMAGES, "annotations": [*broken, good]}), encoding="utf-8")
    reading = read_samples("coco", path, tmp_path, 2, skip_bad=True)
    assert len(reading.samples) == 1
    assert ["annotations[0]" in str(reading.faults[0]), "annotations[1]" in str(reading.faults[1])] == [True, True]
    path.write_text(json.dumps({"images": IMAGES, "annotations": broken}), encoding="utf-8")
    with pytest.raises(DataError, match=r"objects\.json holds no object .*2 faulty, the first: .*image_id 8"):
        read_samples("coco", path, tmp_path, 2, skip_bad=True)
