"""Videos as they come: turned, cut off, of other kinds."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from service.errors import UnprocessableImage
from service.predict.video_files import read_video, read_video_facts
from tests.fakes import draw_discs
from tests.service.predict.predict_runs import disc_centres, write_disc_video

# The matrix of a track's header that says: turn by a quarter clockwise to show (ISO 14496-12, 8.3.2).
QUARTER_TURN = (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize(
    ("suffix", "fourcc"), [(".avi", "MJPG"), (".mp4", "mp4v"), (".mkv", "FFV1"), (".webm", "VP80")]
)
def test_every_frame_comes_once_in_order_and_in_rgb(tmp_path: Path, suffix: str, fourcc: str) -> None:
    path = write_disc_video(tmp_path / f"clip{suffix}", 30, fourcc)
    frames = list(read_video(path))
    assert len(frames) == 30
    assert read_video_facts(path).frames_per_second == pytest.approx(30)
    for index, frame in enumerate(frames):
        for channel, (x, y) in enumerate(disc_centres(index).round().astype(int)):
            assert frame[y, x].argmax() == channel


def test_reading_goes_on_at_any_frame(tmp_path: Path) -> None:
    path = write_disc_video(tmp_path / "clip.mp4", 30, "mp4v")
    whole = list(read_video(path))
    for start in (0, 1, 13, 29, 30):
        rest = list(read_video(path, start))
        assert len(rest) == 30 - start
        assert all(np.array_equal(frame, same) for frame, same in zip(rest, whole[start:], strict=True))


def test_a_turned_video_is_read_as_it_is_shown(tmp_path: Path) -> None:
    path = write_disc_video(tmp_path / "clip.mp4", 2, "mp4v")
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # of version 0
    content[matrix : matrix + 36] = struct.pack(">9i", *QUARTER_TURN)
    path.write_bytes(content)
    frame = next(read_video(path))
    assert frame.shape == (160, 120, 3)
    upright = cv2.rotate(draw_discs(disc_centres(0)), cv2.ROTATE_90_CLOCKWISE)
    # Measured: 3.5 of 255, which is the codec's.
    assert np.abs(frame.astype(int) - upright).mean() < 8


def test_a_damaged_video_ends_where_it_breaks_and_says_so(tmp_path: Path) -> None:
    path = write_disc_video(tmp_path / "clip.mp4", 60, "mp4v")
    content = bytearray(path.read_bytes())
    data = content.index(b"mdat") + 4
    content[data + 900 : data + 1500] = np.random.default_rng(0).bytes(600)
    path.write_bytes(content)
    frames: list[NDArray[np.uint8]] = []
    with pytest.raises(UnprocessableImage, match=r"breaks off: \d+ frames can be read of the 60"):
        frames.extend(read_video(path))
    assert 0 < len(frames) < 60


def test_what_is_no_video_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"no video")
    with pytest.raises(UnprocessableImage, match="is no video"):
        next(read_video(path))
    with pytest.raises(UnprocessableImage, match="is no video"):
        read_video_facts(path)
