"""The split drawn from the pictures: by pixels alone, steady as the set grows, both sides there."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from model_export.data.content_split import split_by_content
from model_export.data.keypoint_sample import ImageFile, KeypointSample
from model_export.errors import DataError


def samples(folder: Path, count: int) -> list[KeypointSample]:
    found = []
    for index in range(count):
        path = folder / f"{index}.png"
        cv2.imwrite(str(path), np.full((4, 5, 3), index, np.uint8))
        found.append(
            KeypointSample(ImageFile(path), np.zeros((1, 2)), np.ones(1, dtype=bool), path.name, image_id=path.name)
        )
    return found


def names(side: list[KeypointSample]) -> set[str]:
    return {sample.origin for sample in side}


def test_the_share_is_about_right_and_no_picture_is_lost(tmp_path: Path) -> None:
    training, validation = split_by_content(samples(tmp_path, 200), 0.2)
    assert len(training) + len(validation) == 200
    assert not names(training) & names(validation)
    assert len(validation) == 34  # of these pictures, on any machine


def test_a_copy_under_another_name_stays_on_the_side_of_its_original(tmp_path: Path) -> None:
    originals = samples(tmp_path, 30)
    copies = []
    for sample in originals:
        copy = tmp_path / f"copy_of_{sample.origin}"
        copy.write_bytes((tmp_path / sample.origin).read_bytes())
        copies.append(KeypointSample(ImageFile(copy), sample.points_in_image, sample.visible, f"copy {sample.origin}"))
    training, validation = split_by_content([*originals, *copies], 0.3)
    for side in (training, validation):
        assert {name for name in names(side) if name.startswith("copy")} == {
            f"copy {name}" for name in names(side) if not name.startswith("copy")
        }


def test_a_set_that_grows_keeps_its_sides_and_order_does_not_matter(tmp_path: Path) -> None:
    small, large = samples(tmp_path, 40), samples(tmp_path, 80)
    assert names(split_by_content(small, 0.25)[1]) < names(split_by_content(large, 0.25)[1])
    assert names(split_by_content(small[::-1], 0.25)[1]) == names(split_by_content(small, 0.25)[1])


def test_a_side_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.validation_share 0\.01 puts 3 samples on the side of training and 0"):
        split_by_content(samples(tmp_path, 3), 0.01)
