"""Small files in the native layouts of data sets, written here: two or three pictures, known points.

Builders as those of `format_fixtures`. Picture number i is filled with 10 * (i + 1), so that a test can tell which one
was read.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from tests.model_export.data.format_fixtures import HEIGHT, WIDTH, Fixture


def drawn_points(index: int, keypoint_count: int) -> NDArray[np.float64]:
    """Points (K, 2) of picture `index`, all different, all inside the picture."""
    steps = np.arange(keypoint_count)
    return np.stack([3.25 + index + 1.5 * steps, 5.5 + index + 0.5 * steps], axis=1)


def draw_picture(path: Path, index: int) -> None:
    """A picture of 40 x 30 filled with 10 * (index + 1)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), 10 * (index + 1), np.uint8))


def write_csv_with_scale(folder: Path) -> Fixture:
    """The plain CSV with the optional column of millimetres per pixel."""
    lines = ["image,mm_per_pixel,x0,y0,x1,y1"]
    for index in range(2):
        draw_picture(folder / f"{index}.png", index)
        lines.append(f"{index}.png,{0.1 * (index + 1)},{numbers(drawn_points(index, 2), ',')}")
    return _alone(_written(folder / "points.csv", lines), folder, 2)


def write_wflw(folder: Path) -> Fixture:
    """WFLW's list of faces with box and attributes."""
    lines = []
    for index in range(3):
        name = f"{index}--Place/face_{index}.png"
        draw_picture(folder / "WFLW_images" / name, index)
        lines.append(f"{numbers(drawn_points(index, 4))} 2 3 {22 + index} 13 0 0 1 0 0 0 {name}")
    return _alone(_written(folder / "list_98pt_rect_attr_train.txt", lines), folder / "WFLW_images", 4)


def write_300w(folder: Path) -> Fixture:
    """300-W's `.pts` files beside their pictures in two folders; their coordinates count from one."""
    for index in range(3):
        path = folder / ("afw" if index else "helen") / f"image_{index}.pts"
        draw_picture(path.with_suffix(".png"), index)
        rows = [f"{x:.3f} {y:.3f}" for x, y in drawn_points(index, 4) + 1]
        _written(path, ["version: 1", "n_points:  4", "{", *rows, "}"])
    return Fixture(folder, folder, 4, tuple(sorted(folder.rglob("*.pts"))))


def write_300w_list(folder: Path) -> Fixture:
    """The same, named by a list of a folder and a file."""
    whole = write_300w(folder)
    path = _written(folder / "split.txt", ["helen", "afw/image_2.pts"])
    return whole._replace(annotations=path, damageable=(path, *whole.damageable))


def write_cephalometric(folder: Path) -> Fixture:
    """Two annotators who differ by two pixels, so that their mean is a whole pixel from either."""
    for index in range(2):
        draw_picture(folder / "RawImage" / "TrainingData" / f"00{index + 1}.bmp", index)
        points = np.round(drawn_points(index, 3))
        for annotator, offset in (("400_junior", -1), ("400_senior", 1)):
            rows = [f"{x:.0f},{y:.0f}" for x, y in points + offset]
            _written(folder / "AnnotationsByMD" / annotator / f"00{index + 1}.txt", [*rows, *"12345678"])
    labels = folder / "AnnotationsByMD"
    return Fixture(labels, folder / "RawImage" / "TrainingData", 3, tuple(sorted(labels.rglob("*.txt"))))


def write_lspet(folder: Path) -> Fixture:
    """joints.mat of 14 x 3 x 4, of which the third picture is in no split; the first joint of picture 2 is hidden."""
    joints = np.zeros((14, 3, 4))
    for index in (0, 1, 3):
        draw_picture(folder / "images" / f"im{index + 1:05d}.jpg", index)
        joints[:, :2, index] = drawn_points(index, 14)
        joints[:, 2, index] = 1
    joints[0, :, 1] = (-400, 9e3, 0)
    scipy.io.savemat(folder / "joints.mat", {"joints": joints})
    split = _written(folder / "train.txt", ["im00001.jpg", "im00002.jpg"])
    return Fixture(split, folder / "images", 14, (split, folder / "joints.mat"))


def write_cofw(folder: Path) -> Fixture:
    """Two grey pictures and a coloured one in an HDF5 file as MATLAB 7.3 writes it; coordinates count from one."""
    path = folder / "COFW_train.mat"
    with h5py.File(path, "w") as file:
        cells = file.create_dataset("IsTr", (1, 3), dtype=h5py.ref_dtype)
        for index in range(3):
            # MATLAB's height x width (x 3) shows with its axes reversed.
            shape = (WIDTH, HEIGHT) if index < 2 else (3, WIDTH, HEIGHT)
            picture = file.create_dataset(f"#refs#/{index}", data=np.full(shape, 10 * (index + 1), np.uint8))
            cells[0, index] = picture.ref
        columns = [np.concatenate([*(drawn_points(index, 4) + 1).T, [0, 1, 0, 0]]) for index in range(3)]
        file["phisTr"] = np.stack(columns, axis=1)
        file["bboxesTr"] = np.array([[3.0, 4.0, 20.0 + index, 15.0] for index in range(3)]).T
    return _alone(path, folder, 4)


def write_deepposekit(folder: Path) -> Fixture:
    """Two grey pictures with three keypoints, one of them no number, and `annotated` False throughout."""
    path = folder / "annotation_set.h5"
    points = np.stack([drawn_points(index, 3) for index in range(2)])
    points[1, 2] = np.nan
    pictures = np.stack([np.full((HEIGHT, WIDTH, 1), 10 * (index + 1), np.uint8) for index in range(2)])
    with h5py.File(path, "w") as file:
        file["images"], file["annotations"] = pictures, points
        file["annotated"] = np.zeros((2, 3), dtype=bool)
        file["skeleton"] = np.array([[-1, -1], [0, -1], [0, -1]], dtype=np.int32)
    return _alone(path, folder, 3)


def write_deeplabcut(folder: Path, path_columns: int = 1) -> Fixture:
    """A project with one video of two frames and three bodyparts; the second is not visible in frame 1."""
    video = folder / "labeled-data" / "video"
    lines = [
        "scorer" + "," * (path_columns - 1) + ",someone" * 6,
        "bodyparts" + "," * (path_columns - 1) + ",nose,nose,paw,paw,tail,tail",
        "coords" + "," * (path_columns - 1) + ",x,y" * 3,
    ]
    for index in range(2):
        draw_picture(video / f"img{index}.png", index)
        texts = numbers(drawn_points(index, 3), ",").split(",")
        if index == 1:
            texts[2:4] = ["", ""]
        lines.append(("," if path_columns == 3 else "/").join(["labeled-data", "video", f"img{index}.png"]) + ",")
        lines[-1] += ",".join(texts)
    return _alone(_written(video / "CollectedData_someone.csv", lines), folder, 3)


def numbers(points: NDArray[np.float64], separator: str = " ") -> str:
    """x0 y0 x1 y1 ... as text."""
    return separator.join(f"{value:.6f}" for value in points.ravel())


def _alone(annotations: Path, images: Path, keypoint_count: int) -> Fixture:
    return Fixture(annotations, images, keypoint_count, (annotations,))


def _written(path: Path, lines: Sequence[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


NATIVE_FIXTURES: dict[str, Callable[[Path], Fixture]] = {
    "csv:scale": write_csv_with_scale,
    "300w": write_300w,
    "300w:list": write_300w_list,
    "cephalometric": write_cephalometric,
    "cofw": write_cofw,
    "deeplabcut": write_deeplabcut,
    "deepposekit": write_deepposekit,
    "lspet": write_lspet,
    "wflw": write_wflw,
}
