"""Readers of native layouts: points, visibility, boxes and pictures of the small files of `native_fixtures`."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from model_export.data.deeplabcut import read_bodyparts
from model_export.data.keypoint_names import check_names
from model_export.data.keypoint_sample import KeypointSample
from model_export.data.readers import read_samples
from model_export.errors import DataError
from service.contract.crop_transform import Box
from tests.model_export.data import native_fixtures as fixtures
from tests.model_export.data.format_fixtures import HEIGHT, WIDTH, Fixture
from tests.model_export.data.native_fixtures import NATIVE_FIXTURES, drawn_points


def read(data_format: str, fixture: Fixture) -> list[KeypointSample]:
    annotations, images, keypoint_count, _ = fixture
    return read_samples(data_format.partition(":")[0], annotations, images, keypoint_count).samples


def replaced(fixture: Fixture, old: str, new: str) -> Fixture:
    """The fixture with a text replaced in its annotation file."""
    text = fixture[0].read_text(encoding="utf-8")
    assert old in text
    fixture[0].write_text(text.replace(old, new, 1), encoding="utf-8")
    return fixture


@pytest.mark.parametrize("data_format", NATIVE_FIXTURES)
def test_every_picture_comes_with_its_own_points(tmp_path: Path, data_format: str) -> None:
    samples = read(data_format, NATIVE_FIXTURES[data_format](tmp_path))
    assert len({sample.image_id for sample in samples}) == len(samples) > 1
    for sample in samples:
        image = sample.read_image()
        assert image.shape == (HEIGHT, WIDTH, 3)
        index = round(float(image.mean()) / 10) - 1
        expected = drawn_points(index, len(sample.points_in_image))
        if data_format == "cephalometric":  # whole numbers in the files
            expected = np.round(expected)
        # The text files have three to six decimals.
        np.testing.assert_allclose(sample.points_in_image[sample.visible], expected[sample.visible], atol=5e-4)


def test_boxes_and_scales_are_read(tmp_path: Path) -> None:
    assert [sample.annotated_box for sample in read("wflw", fixtures.write_wflw(tmp_path))][:2] == [
        Box(2, 3, 20, 10),
        Box(2, 3, 21, 10),
    ]
    # Counted from one in the file, like the points.
    assert read("cofw", fixtures.write_cofw(tmp_path))[1].annotated_box == Box(2, 3, 21, 15)
    assert [sample.mm_per_pixel for sample in read("csv", fixtures.write_csv_with_scale(tmp_path))] == [0.1, 0.2]
    assert {sample.mm_per_pixel for sample in read("cephalometric", fixtures.write_cephalometric(tmp_path))} == {0.1}


def test_hidden_keypoints_are_not_visible(tmp_path: Path) -> None:
    first, second = read("lspet", fixtures.write_lspet(tmp_path))
    assert first.visible.all()
    assert np.flatnonzero(~second.visible).tolist() == [0]
    assert second.box.x > 0  # the far-off coordinates of the hidden joint mean nothing
    assert read("deepposekit", fixtures.write_deepposekit(tmp_path))[1].visible.tolist() == [True, True, False]
    assert read("deeplabcut", fixtures.write_deeplabcut(tmp_path))[1].visible.tolist() == [True, False, True]


def test_joints_mat_alone_leaves_out_pictures_that_are_not_there(tmp_path: Path) -> None:
    split, images, keypoint_count, _ = fixtures.write_lspet(tmp_path)
    reading = read_samples("lspet", split.parent / "joints.mat", images, keypoint_count)
    assert [sample.image_id for sample in reading.samples] == ["im00001.jpg", "im00002.jpg", "im00004.jpg"]
    assert list(reading.left_out.values()) == [1]


def test_a_list_names_the_folders_of_300w(tmp_path: Path) -> None:
    samples = read("300w", fixtures.write_300w_list(tmp_path))
    assert [sample.image_id for sample in samples] == ["helen/image_0.png", "afw/image_2.png"]


def test_wflw_subset_lists_without_boxes_are_read(tmp_path: Path) -> None:
    annotations, images, keypoint_count, _ = fixtures.write_wflw(tmp_path)
    lines = [line.split() for line in annotations.read_text(encoding="utf-8").splitlines()]
    annotations.write_text("".join(" ".join([*line[:8], line[-1]]) + "\n" for line in lines), encoding="utf-8")
    assert [sample.annotated_box for sample in read("wflw", Fixture(annotations, images, keypoint_count, ()))] == [
        None
    ] * 3


def test_only_points_set_by_a_person_count_where_the_file_says_which(tmp_path: Path) -> None:
    fixture = fixtures.write_deepposekit(tmp_path)
    with h5py.File(fixture[0], "r+") as file:
        file["annotated"][0, 1] = True
    (sample,) = read("deepposekit", fixture)
    assert sample.visible.tolist() == [False, True, False]


def test_deeplabcut_paths_in_three_columns_or_of_windows_or_beside_the_file(tmp_path: Path) -> None:
    annotations, images, count, _ = fixtures.write_deeplabcut(tmp_path, path_columns=3)
    assert [sample.image_id for sample in read("deeplabcut", Fixture(annotations, images, count, ()))] == [
        "labeled-data/video/img0.png",
        "labeled-data/video/img1.png",
    ]
    fixture = replaced(fixtures.write_deeplabcut(tmp_path), "labeled-data/video/", "labeled-data\\video\\")
    assert read("deeplabcut", fixture)[0].image_id == "labeled-data/video/img0.png"
    # As the default of a recipe has it, where the pictures' folder is that of the file.
    assert read("deeplabcut", Fixture(annotations, annotations.parent, count, ()))[1].read_image().mean() == 20


def test_a_deeplabcut_project_is_read_with_all_its_videos(tmp_path: Path) -> None:
    annotations, images, count, _ = fixtures.write_deeplabcut(tmp_path)
    second = tmp_path / "labeled-data" / "other"
    annotations.parent.rename(second)
    fixtures.write_deeplabcut(tmp_path)
    assert len(read("deeplabcut", Fixture(tmp_path / "labeled-data", images, count, ()))) == 4
    replaced(Fixture(second / annotations.name, images, count, ()), "nose,nose", "ear,ear")
    with pytest.raises(DataError, match=r"other bodyparts than .*other"):
        read("deeplabcut", Fixture(tmp_path / "labeled-data", images, count, ()))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bodyparts,", "individuals,a,a,a,a,a,a\nbodyparts,", "multi-animal project"),
        ("scorer,", "someone,", "header rows scorer, bodyparts, coords, found 'someone'"),
        ("x,y,x,y,x,y", "x,y,likelihood,x,y,likelihood", "predictions"),
        ("nose,nose,paw,paw", "nose,nose,nose,nose", "different bodyparts"),
        ("x,y,x,y,x,y", "x,y,x,y,y,x", "columns x and y"),
        (",nose,nose", "", "columns x and y"),
        ("3.250000,", "here,", "line 4: nose: expected two numbers, found 'here, 5.500000'"),
        ("3.250000,", ",", "line 4: nose has only one coordinate"),
        ("3.250000,", "", "line 4: expected 7 values, found 6"),
        ("labeled-data/video/img0.png", "", "line 4: expected a picture's path"),
    ],
)
def test_what_is_wrong_in_a_deeplabcut_file_is_said(tmp_path: Path, old: str, new: str, message: str) -> None:
    fixture = replaced(fixtures.write_deeplabcut(tmp_path), old, new)
    with pytest.raises(DataError, match=rf"CollectedData_someone\.csv.*{message}"):
        read("deeplabcut", fixture)


@pytest.mark.parametrize(
    ("data_format", "old", "new", "message"),
    [
        ("wflw", " 2 3 22 13 ", " 2 3 2 13 ", "line 1: the face's box 2 3 2 13 is none"),
        ("wflw", " 2 3 22 13 ", " 2 3 22 ", "line 1: expected 8 coordinates, 4 box .* found 18 values"),
        ("wflw", "3.250000", "left", "line 1: expected numbers"),
        ("wflw", "3.250000", "nan", "line 1: a coordinate is not finite"),
        ("csv:scale", ",0.1,", ",,", "line 2: expected millimetres above zero in column mm_per_pixel, found ''"),
        ("csv:scale", ",0.1,", ",-1,", "line 2: expected millimetres above zero"),
        ("lspet", "im00002", "im00005", r"expected a picture im00001.jpg to im00004.jpg, found 'im00005.jpg'"),
    ],
)
def test_what_is_wrong_in_a_text_file_is_said(
    tmp_path: Path, data_format: str, old: str, new: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(data_format, replaced(NATIVE_FIXTURES[data_format](tmp_path), old, new))


def test_what_is_wrong_in_a_pts_file_is_said(tmp_path: Path) -> None:
    annotations, images, count, _ = fixtures.write_300w(tmp_path)
    one = annotations / "helen" / "image_0.pts"
    for old, new, message in (
        ("n_points:  4", "n_points: 5", r"image_0\.pts: expected a line 'n_points: 4'"),
        ("}", "", r"image_0\.pts: expected the coordinates between"),
        ("4.250 6.500\n", "", "expected 4 lines 'x y' between the braces, found 3 lines"),
    ):
        text = one.read_text(encoding="utf-8")
        with pytest.raises(DataError, match=message):
            read("300w", replaced(Fixture(one, one.parent, count, ()), old, new))
        one.write_text(text, encoding="utf-8")
    one.with_suffix(".png").unlink()
    with pytest.raises(DataError, match=r"image_0\.pts: there is no picture"):
        read("300w", Fixture(annotations, images, count, ()))


def test_an_annotator_who_left_a_film_out_is_named(tmp_path: Path) -> None:
    annotations, images, count, _ = fixtures.write_cephalometric(tmp_path)
    (annotations / "400_senior" / "002.txt").unlink()
    with pytest.raises(DataError, match=r"400_senior/002\.txt cannot be read: No such file"):
        read("cephalometric", Fixture(annotations, images, count, ()))


@pytest.mark.parametrize("data_format", ["cofw", "deepposekit", "lspet"])
def test_another_number_of_keypoints_is_refused(tmp_path: Path, data_format: str) -> None:
    annotations, images, count, _ = NATIVE_FIXTURES[data_format](tmp_path)
    with pytest.raises(DataError, match=r"(\.mat|\.h5): expected .*found"):
        read(data_format, Fixture(annotations, images, count + 1, ()))


def test_a_face_of_cofw_without_numbers_or_picture_is_skipped_and_counted(tmp_path: Path) -> None:
    fixture = fixtures.write_cofw(tmp_path)
    with h5py.File(fixture.annotations, "r+") as file:
        file["phisTr"][0, 0] = np.nan
        file["bboxesTr"][2, 1] = -1
        file["IsTr"][0, 2] = file["#refs#"].ref
    reading = read_samples("cofw", *fixture[:3], skip_bad=True)
    assert [str(fault).partition("COFW_train.mat, ")[2] for fault in reading.faults] == [
        "face 0: a coordinate is not finite",
        "face 1: expected numbers for points and box, found a box needs a width and a height above zero, found -1 x 15",
    ]
    with pytest.raises(DataError, match="face 2: IsTr points to no picture"):
        reading.samples[0].read_image()


def test_an_image_of_deepposekit_without_a_number_is_skipped_and_counted(tmp_path: Path) -> None:
    fixture = fixtures.write_deepposekit(tmp_path)
    with h5py.File(fixture.annotations, "r+") as file:
        file["annotations"][0, 1, 0] = np.nan  # y is still a number
    reading = read_samples("deepposekit", *fixture[:3], skip_bad=True)
    assert [str(fault).partition("set.h5, ")[2] for fault in reading.faults] == ["image 0: a coordinate is not finite"]
    assert len(reading.samples) == 1


@pytest.mark.parametrize("data_format", ["cofw", "deepposekit"])
def test_a_file_that_is_not_hdf5_is_named(tmp_path: Path, data_format: str) -> None:
    annotations, images, count, _ = NATIVE_FIXTURES[data_format](tmp_path)
    annotations.write_bytes(annotations.read_bytes()[:700])
    with pytest.raises(DataError, match=rf"{annotations.name} cannot be read as HDF5"):
        read(data_format, Fixture(annotations, images, count, ()))


def test_a_recipe_that_names_other_bodyparts_than_the_file_is_refused_with_those_of_the_file(tmp_path: Path) -> None:
    annotations = fixtures.write_deeplabcut(tmp_path).annotations
    assert read_bodyparts(tmp_path / "labeled-data") == ("nose", "paw", "tail")
    check_names("deeplabcut", annotations, ("nose", "paw", "tail"))
    with pytest.raises(DataError, match=r'as in the file, \["nose", "paw", "tail"\], found \["paw", "nose", "tail"\]'):
        check_names("deeplabcut", annotations, ("paw", "nose", "tail"))
