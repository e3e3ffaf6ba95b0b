"""Drawn pictures and videos, read back."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import InvalidSetting
from service.predict.drawings import plan_drawings
from service.predict.sources import find_sources
from service.predict.video_files import open_video_writer
from tests.fakes import draw_discs, encode
from tests.service.predict.predict_runs import disc_centres, predict, write_disc_pictures, write_disc_video, write_video

DOT, OUTSIDE = np.array([0, 230, 118]), np.array([0, 0, 0])


def large_discs(frame: int) -> NDArray[np.uint8]:
    """A frame of 1280 x 960: dots follow the size of the object, and compression is kind to large ones."""
    small = draw_discs(disc_centres(frame))
    return np.asarray(cv2.resize(small, (1280, 960), interpolation=cv2.INTER_CUBIC), np.uint8)


def large_centres(frame: int) -> NDArray[np.float64]:
    """Where they are."""
    return (disc_centres(frame) + 0.5) * 8 - 0.5


def assert_dots(drawn: NDArray[np.uint8], centres: NDArray[np.float64], tolerance: float) -> None:
    """Green dots on what were a red, a green and a blue disc, and nothing but black in a corner."""
    for x, y in centres.round().astype(int):
        patch = drawn[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).mean(axis=0)
        assert np.abs(patch - DOT).max() <= tolerance, (x, y, patch)
    assert np.abs(drawn[-40:, -40:] - OUTSIDE).max() <= tolerance


# Measured: off by at most 20 of 255, which is the codecs'.
@pytest.mark.parametrize("name", ["out.mp4", "out.avi", "out.webm"])
def test_a_drawn_video_has_every_frame_and_its_dots_where_the_discs_are(
    bundle: Path, tmp_path: Path, name: str
) -> None:
    clip = write_video(tmp_path / "clip.avi", map(large_discs, range(4)))
    assert predict(clip, "-o", tmp_path / name, "--model", bundle).exit_code == 0
    video = cv2.VideoCapture(str(tmp_path / name))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(30)
    for frame in range(4):
        read, drawn = video.read()
        assert read
        assert_dots(np.asarray(drawn[:, :, ::-1], np.uint8), large_centres(frame), tolerance=40)
    assert not video.read()[0]


def test_a_folder_takes_a_drawing_of_every_file_under_its_name_and_is_no_input_of_the_next_run(
    bundle: Path, tmp_path: Path
) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    write_disc_pictures(inputs / "day", 2)
    (inputs / "large.bmp").write_bytes(encode(large_discs(0), ".bmp"))
    write_disc_video(inputs / "clip.avi", 3)
    drawings = inputs / "drawings"
    for _ in range(2):
        ended = predict(inputs, "-o", drawings, "--model", bundle)
        assert ended.exit_code == 0
        assert ended.stdout.startswith("6 frames, ")
    found = {path.relative_to(drawings).as_posix() for path in drawings.rglob("*") if path.is_file()}
    assert found == {"day/0.png", "day/1.png", "large.bmp", "clip.mp4"}
    large = cv2.imread(str(drawings / "large.bmp"), cv2.IMREAD_COLOR_RGB)
    assert large is not None
    assert_dots(np.asarray(large, np.uint8), large_centres(0), tolerance=0)


def test_an_odd_frame_grows_by_a_copy_of_its_last_column_and_row(tmp_path: Path) -> None:
    path = tmp_path / "out.avi"
    with open_video_writer(path, 30, 161, 121, path) as writer:
        writer.write(np.full((121, 161, 3), 200, np.uint8))
    read, frame = cv2.VideoCapture(str(path)).read()
    assert read
    assert frame.shape == (122, 162, 3)
    assert np.abs(frame[-2:, -2:].astype(int) - 200).max() < 10  # measured: 0


def test_what_cannot_be_drawn_is_refused_before_anything_is_looked_at(tmp_path: Path) -> None:
    folder = write_disc_pictures(tmp_path / "pictures", 2)
    clip = write_disc_video(tmp_path / "clip.avi", 1)
    pictures = find_sources([folder], [])
    with pytest.raises(InvalidSetting, match=r"for 2 files expected a folder, found out\.png$"):
        plan_drawings(tmp_path / "out.png", pictures)
    with pytest.raises(InvalidSetting, match=r"for a video expected .* \.mp4 \.avi \.webm, found out\.png$"):
        plan_drawings(tmp_path / "out.png", find_sources([clip], []))
    with pytest.raises(InvalidSetting, match="would be written over"):
        plan_drawings(folder, pictures)
    (folder / "0.tif").touch()
    with pytest.raises(InvalidSetting, match=r"2 files would be drawn to .*0\.png"):
        plan_drawings(tmp_path / "out", find_sources([folder], [], allow_tiff=True))
