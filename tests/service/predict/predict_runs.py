"""Running `focalpoint predict`, and videos for it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from service.cli import build_command_line
from tests.fakes import CENTRES, draw_discs, encode

REPOSITORY = Path(__file__).parents[3]
FACES = REPOSITORY / "models" / "face68"
PORTRAIT = REPOSITORY / "tests" / "pictures" / "astronaut.jpg"


def predict(*arguments: Any) -> Result:
    """The command in this process; what it raises is raised."""
    return CliRunner().invoke(build_command_line(), ["predict", *map(str, arguments)], catch_exceptions=False)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a `.jsonl` file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def points_of(row: dict[str, Any]) -> NDArray[np.float64]:
    """x, y and score of each keypoint of each object: (objects, K, 3)."""
    return np.array(
        [[[point["x"], point["y"], point["score"]] for point in one["keypoints"]] for one in row["instances"]]
    )


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], fourcc: str = "MJPG") -> Path:
    """RGB frames (H, W, 3) of even size as a video."""
    writer = None
    for frame in frames:
        height, width = frame.shape[:2]
        writer = writer or cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), 30, (width, height))
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    assert writer is not None
    writer.release()
    return path


def disc_centres(frame: int) -> NDArray[np.float64]:
    """Where the discs of a frame are."""
    return np.asarray(CENTRES + np.array([0.5, 0.25]) * frame, np.float64)


def write_disc_video(path: Path, frames: int, fourcc: str = "MJPG") -> Path:
    """Discs that move."""
    return write_video(path, (draw_discs(disc_centres(frame)) for frame in range(frames)), fourcc)


def write_disc_pictures(folder: Path, count: int) -> Path:
    """Pictures of discs: `0.png`, `1.png`, ..."""
    folder.mkdir()
    for index in range(count):
        (folder / f"{index}.png").write_bytes(encode(draw_discs(disc_centres(index))))
    return folder


def moving_portrait(count: int, size: int) -> Iterable[NDArray[np.uint8]]:
    """Frames of `size` x `size` in which NASA's portrait moves and is zoomed."""
    portrait = cv2.imread(str(PORTRAIT), cv2.IMREAD_COLOR_RGB)
    assert portrait is not None
    shrink = size / 512
    for index in range(count):
        zoom = shrink * (1 + 0.2 * np.sin(index / 37))
        x, y = size / 2 - 256 * zoom + 10 * shrink * np.sin(index / 20), size / 2 - 200 * zoom
        yield np.asarray(cv2.warpAffine(portrait, np.array([[zoom, 0, x], [0, zoom, y]]), (size, size)), np.uint8)
