"""The project's own annotation format: what is read, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from model_export.data.checked_reading import picture_fault, picture_size
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.readers import read_samples
from model_export.errors import DataError

HEADER = "image,note,x0,y0,x1,y1\n"


def read(path: Path, keypoint_count: int = 2) -> list[KeypointSample]:
    return read_samples("csv", path, path.parent, keypoint_count).samples


def write(folder: Path, text: str) -> Path:
    path = folder / "points.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_points_visibility_and_pictures_are_read(tmp_path: Path) -> None:
    red = np.zeros((6, 9, 3), np.uint8)
    red[..., 2] = 250  # OpenCV writes BGR
    cv2.imwrite(str(tmp_path / "red.png"), red)
    path = write(tmp_path, HEADER + "red.png,hello,1.5,2,,\nred.png,,3,4,5,6\nred.png,,,,,\n")
    first, second = read(path)  # the third row has no visible keypoint
    assert first.points_in_image[0].tolist() == [1.5, 2.0]
    assert first.visible.tolist() == [True, False]
    assert second.points_in_image.tolist() == [[3, 4], [5, 6]]
    assert first.read_image().shape == (6, 9, 3)
    assert first.read_image()[0, 0].tolist() == [250, 0, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a column 'image', found nothing"),
        ("picture,x0,y0\n", "expected a column 'image', found picture, x0, y0"),
        ("image,x0,y0\na.png,1,2\n", r"has 1 keypoints .*recipe's keypoints\.names has 2"),
        ("image,x0,y0,x1,z1\na.png,1,2,3,4\n", "column y1 is missing"),
        (HEADER, "holds no row"),
        (HEADER + "a.png,,1,2,3,four\n", "line 2: a coordinate is not a number .*four"),
        (HEADER + "a.png,,1,2,3,inf\n", "line 2: a coordinate is not finite"),
        (HEADER + "a.png,,1,2\n", "line 2: expected 6 values, found 4"),
        (HEADER + "a.png,,1,2,3,\n", "line 2: keypoint 1 has only one coordinate"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_its_name_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"points\.csv.*{message}"):
        read(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.csv cannot be read: No such file"):
        read(tmp_path / "absent.csv")


def test_a_picture_that_is_missing_or_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture", encoding="utf-8")
    path = write(tmp_path, HEADER + "absent.png,,1,2,3,4\ntext.png,,1,2,3,4\n")
    absent, text = read(path)
    with pytest.raises(DataError, match=r"absent\.png cannot be read: No such file"):
        absent.read_image()
    with pytest.raises(DataError, match=r"text\.png cannot be decoded: expected a JPEG, PNG"):
        text.read_image()


def test_a_point_far_outside_its_picture_is_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((10, 20, 3), np.uint8))
    path = write(tmp_path, HEADER + "a.png,,1,2,3,4\na.png,,1,2,300,4\n")
    near, far = read(path)
    assert picture_fault(near, picture_size(near.read_image)) is None
    assert "line 3: keypoint 1 lies at (300, 4), outside the picture (20 x 10)" in str(picture_fault(far, (20, 10)))
