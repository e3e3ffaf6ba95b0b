"""A small valid data set in each annotation format: a new format adds its builder to `FIXTURES`.

A builder writes annotations and pictures into an empty folder. The key is the format's name in READERS; a second layout
of one format stands behind a colon (`mpii:release`). `test_damaged_annotations.py` damages `Fixture.damageable` and the
pictures; two pictures, K of a few and little text keep it fast.
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

WIDTH, HEIGHT = 40, 30


class Fixture(NamedTuple):
    """A data set on disk: what a reader is called with, and the annotation files that a test may damage."""

    annotations: Path
    images: Path
    keypoint_count: int
    damageable: tuple[Path, ...]


def write_pictures(folder: Path, names: list[str]) -> None:
    """Pictures of 40 x 30 that differ from each other."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        assert cv2.imwrite(str(folder / name), pixels)


def some_points(count: int, seed: int) -> NDArray[np.float64]:
    """(count, 2) inside the pictures, to a quarter of a pixel so that every text writes them exactly."""
    points = np.random.default_rng(seed).uniform((2, 2), (WIDTH - 3, HEIGHT - 3), (count, 2))
    return np.asarray(np.round(points * 4) / 4)


def _json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def _csv(folder: Path) -> Fixture:
    write_pictures(folder, ["a.png", "b.png"])
    path = folder / "points.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "x0", "y0", "x1", "y1", "x2", "y2"])
        for seed, name in enumerate(["a.png", "b.png", "b.png"]):
            rows.writerow([name, *some_points(3, seed).ravel()])
    return Fixture(path, folder, 3, (path,))


def _coco_objects(keypoints: dict[str, int]) -> dict[str, Any]:
    annotations = []
    for seed, image_id in enumerate([7, 9, 9]):
        counts = list(keypoints.values())
        points_K3 = np.column_stack([some_points(sum(counts), seed), np.full(sum(counts), 2)])
        parts = np.split(points_K3, np.cumsum(counts)[:-1])
        values = {name: part.ravel().tolist() for name, part in zip(keypoints, parts, strict=True)}
        annotations.append(
            {"id": seed, "image_id": image_id, "iscrowd": 0, "area": 300.5, "bbox": [1, 2, 30.5, 20], **values}
        )
    images = [
        {"id": image_id, "file_name": name, "width": WIDTH, "height": HEIGHT}
        for image_id, name in [(7, "a.png"), (9, "b.png")]
    ]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}


def _coco(folder: Path) -> Fixture:
    write_pictures(folder, ["a.png", "b.png"])
    path = _json(folder / "keypoints.json", _coco_objects({"keypoints": 3}))
    return Fixture(path, folder, 3, (path,))


def _coco_wholebody(folder: Path) -> Fixture:
    write_pictures(folder, ["a.png", "b.png"])
    parts = {"keypoints": 3, "foot_kpts": 1, "face_kpts": 2, "lefthand_kpts": 1, "righthand_kpts": 1}
    path = _json(folder / "wholebody.json", _coco_objects(parts))
    return Fixture(path, folder, 8, (path,))


def _mpii(folder: Path) -> Fixture:
    write_pictures(folder, ["a.png", "b.png"])
    people = [
        {
            "image": name,
            "center": [20.0, 15.0],
            "scale": 0.125,
            "joints": (some_points(3, seed) + 1).tolist(),
            "joints_vis": [1, 1, seed],
        }
        for seed, name in enumerate(["a.png", "b.png"])
    ]
    path = _json(folder / "valid.json", people)
    heads = folder / "gt_valid.mat"
    savemat(heads, {"headboxes_src": np.array([[[5.0, 6], [7, 8]], [[9, 10], [11, 12]]])})
    return Fixture(path, folder, 3, (path, heads))


def _struct_array(elements: list[dict[str, Any]]) -> NDArray[Any]:
    """What savemat writes as a MATLAB struct array."""
    array = np.empty((1, len(elements)), dtype=[(name, object) for name in elements[0]])
    for index, element in enumerate(elements):
        array[0, index] = tuple(element.values())
    return array


def _mpii_release(folder: Path) -> Fixture:
    write_pictures(folder, ["a.png", "b.png"])
    annolist = [
        {
            "image": {"name": name},
            "annorect": {
                "x1": 5.0,
                "y1": 6.0,
                "x2": 8.0,
                "y2": 10.0,
                "scale": 0.125,
                "objpos": {"x": 20.0, "y": 15.0},
                "annopoints": {
                    "point": _struct_array(
                        [
                            {"x": x + 1, "y": y + 1, "id": float(k), "is_visible": 1.0}
                            for k, (x, y) in enumerate(some_points(3, seed).tolist())
                        ]
                    )
                },
            },
        }
        for seed, name in enumerate(["a.png", "b.png"])
    ]
    path = folder / "release.mat"
    savemat(path, {"RELEASE": {"annolist": _struct_array(annolist), "img_train": [1, 1]}})
    return Fixture(path, folder, 3, (path,))


def _bee(folder: Path) -> Fixture:
    write_pictures(folder, ["a.png", "b.png"])
    bees = [
        {"path": name, "set": "train", "keypoints": {str(k): p for k, p in enumerate(some_points(3, seed).tolist())}}
        for seed, name in enumerate(["a.png", "b.png"])
    ]
    path = _json(folder / "pose_dataset.json", [*bees, {"path": "a.png", "set": "train", "keypoints": {}}])
    return Fixture(path, folder, 3, (path,))


def _yolo_labels(folder: Path, pictures: Path, *, with_visibility: bool) -> tuple[Path, ...]:
    write_pictures(pictures, ["a.png", "b.png", "empty.png"])
    folder.mkdir(parents=True)
    (folder / "empty.txt").write_text("", encoding="utf-8")
    files = []
    for seed, name in enumerate(["a.txt", "b.txt"]):
        shares = (some_points(3, seed) + 0.5) / (WIDTH, HEIGHT)
        points = np.column_stack([shares, [2, 2, 2]]) if with_visibility else shares
        line = " ".join(str(value) for value in [0, 0.5, 0.5, 0.75, 0.5, *points.ravel().tolist()])
        (folder / name).write_text(f"{line}\n{line}\n", encoding="utf-8")
        files.append(folder / name)
    return tuple(files)


def _yolo(folder: Path) -> Fixture:
    files = _yolo_labels(folder / "labels", folder / "images", with_visibility=False)
    return Fixture(folder / "labels", folder / "images", 3, files)


def _yolo_data_file(folder: Path) -> Fixture:
    files = _yolo_labels(folder / "set" / "labels" / "val", folder / "set" / "images" / "val", with_visibility=True)
    path = folder / "data.yaml"
    path.write_text("path: set\ntrain: images/train\nval: images/val\nkpt_shape: [3, 3]\n", encoding="utf-8")
    return Fixture(path.with_name("data.yaml#val"), folder, 3, (path, *files))


FIXTURES: dict[str, Callable[[Path], Fixture]] = {
    "csv": _csv,
    "coco": _coco,
    "coco_wholebody": _coco_wholebody,
    "mpii": _mpii,
    "mpii:release": _mpii_release,
    "bee": _bee,
    "yolo": _yolo,
    "yolo:data_file": _yolo_data_file,
}
