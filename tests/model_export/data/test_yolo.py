"""YOLO-pose: shares of the picture become pixels with their centres at whole numbers."""

from pathlib import Path

import numpy as np
import pytest

from model_export.data.readers import read_samples
from model_export.errors import DataError
from service.contract.crop_transform import Box
from tests.model_export.data.format_fixtures import FIXTURES, HEIGHT, WIDTH, some_points, write_pictures


def write(folder: Path, text: str) -> Path:
    """Labels of one picture of 40 x 30."""
    write_pictures(folder / "images", ["a.png"])
    (folder / "labels").mkdir()
    (folder / "labels" / "a.txt").write_text(text, encoding="utf-8")
    return folder / "labels"


def test_a_share_of_one_is_the_outer_edge_of_the_last_pixel(tmp_path: Path) -> None:
    labels = write(tmp_path, "0 0.5 0.5 1 1  0 0 2  1 1 1  0.5 0.5 0\n")
    (sample,) = read_samples("yolo", labels, tmp_path / "images", 3).samples
    assert sample.points_in_image[:2].tolist() == [[-0.5, -0.5], [WIDTH - 0.5, HEIGHT - 0.5]]
    assert sample.visible.tolist() == [True, True, False]
    assert sample.box == Box(0, 0, WIDTH, HEIGHT)  # the whole picture
    assert sample.image_id == "a.png"


def test_without_visibility_a_negative_coordinate_hides(tmp_path: Path) -> None:
    labels = write(tmp_path, "3 0.5 0.5 0.5 0.5  0.25 0.5  0 0  -1 0.5\n")
    (sample,) = read_samples("yolo", labels, tmp_path / "images", 3).samples
    assert sample.visible.tolist() == [True, True, False]
    assert sample.points_in_image[0].tolist() == [9.5, 14.5]
    assert sample.points_in_image[2].tolist() == [0, 0]


@pytest.mark.parametrize("name", ["yolo", "yolo:data_file"])
def test_folders_and_data_files_give_the_same_points(name: str, tmp_path: Path) -> None:
    fixture = FIXTURES[name](tmp_path)
    reading = read_samples("yolo", fixture.annotations, fixture.images, 3)
    assert len(reading.samples) == 4
    assert reading.left_out == {"picture without an object": 1}
    np.testing.assert_allclose(reading.samples[0].points_in_image, some_points(3, 0), atol=1e-12)
    assert reading.samples[0].read_image().shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 0.5 0.5 0.1 0.1\n", r"a\.txt, line 1: expected 9 or 11 numbers for 2 keypoints, found 7"),
        ("\n0 0.5 0.5 0.5 0.5 0.1 0.1 0.1 x\n", r"a\.txt, line 2: expected numbers"),
        ("0 0.5 0.5 0.5 0.5 0.1 0.1 0.1 nan\n", r"a\.txt, line 1: expected shares of the picture's size"),
        ("0 0.5 0.5 0 0.5 0.1 0.1 0.1 0.1\n", r"a\.txt, line 1: expected a box of width and height above zero"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_samples("yolo", write(tmp_path, text), tmp_path / "images", 2)


def test_labels_without_a_picture_and_a_part_that_is_not_there_are_named(tmp_path: Path) -> None:
    labels = write(tmp_path, "0 0.5 0.5 0.5 0.5 0.1 0.1 0.1 0.1\n")
    (tmp_path / "images" / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.txt: expected a picture .*images/a of JPEG, PNG, BMP or WebP"):
        read_samples("yolo", labels, tmp_path / "images", 2)
    (tmp_path / "data.yaml").write_text("train: images\nkpt_shape: [2, 2]\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.yaml: expected a part 'val' among train, val and test, found none"):
        read_samples("yolo", tmp_path / "data.yaml#val", tmp_path, 2)
    with pytest.raises(DataError, match=r"data\.yaml: kpt_shape says 2 keypoints, expected 3"):
        read_samples("yolo", tmp_path / "data.yaml", tmp_path, 3)
