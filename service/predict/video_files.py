"""Video files by OpenCV's FFmpeg: frames in, frames out."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from service.errors import StartupError, UnprocessableImage

# What the FFmpeg of OpenCV's wheels encodes: no H.264 among them.
FOURCC_OF_SUFFIX: Final = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
_USUAL_FRAMES_PER_SECOND = 25.0
# Headers of some containers give a duration, from which the number of frames is guessed.
_MISSING_SHARE = 0.01


class VideoFacts(NamedTuple):
    """What a video's header says; `frames` may be wrong, and is 0 where it says nothing."""

    frames: int
    frames_per_second: float


def silence_ffmpeg() -> None:
    """Keep what FFmpeg thinks of damaged files off the error stream; before the first video is opened."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def read_video_facts(path: Path) -> VideoFacts:
    """What the header says.

    Raises:
        UnprocessableImage: it is no video, or one that cannot be read.
    """
    with _opened(path) as video:
        return _facts(video)


def read_video(path: Path, start: int = 0) -> Iterator[NDArray[np.uint8]]:
    """The frames from number `start`: RGB (H, W, 3) as displayed, turned as the file says.

    Frames before `start` are decoded and thrown away: seeking is exact in few formats only. The end is where no frame
    comes any more, whatever the header says of their number.

    Raises:
        UnprocessableImage: it cannot be read, or breaks off: the header counts one frame in a hundred more, and two.
    """
    with _opened(path) as video:
        facts, number = _facts(video), 0
        while video.grab():
            if number >= start:
                read, frame = video.retrieve()
                if not read:
                    break
                yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
            number += 1
        if facts.frames - number > max(1, _MISSING_SHARE * facts.frames):
            raise UnprocessableImage(f"breaks off: {number} frames can be read of the {facts.frames} in its header")


class VideoWriter:
    """Frames into a video file; made by `open_video_writer`."""

    def __init__(self, writer: cv2.VideoWriter) -> None:
        self._writer = writer

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Append an RGB frame (H, W, 3) of the writer's size."""
        self._writer.write(_even(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)))


@contextmanager
def open_video_writer(
    path: Path, frames_per_second: float, width: int, height: int, named: Path
) -> Iterator[VideoWriter]:
    """A writer of frames of `width` x `height`; its suffix, one of `FOURCC_OF_SUFFIX`, chooses the codec.

    Codecs take even sizes only: an odd one is grown by a pixel, a copy of the last column or row.

    Args:
        path: the file to write.
        named: what to call it in an error.

    Raises:
        StartupError: it cannot be written.
    """
    fourcc = cv2.VideoWriter.fourcc(*FOURCC_OF_SUFFIX[path.suffix.lower()])
    size = (width + width % 2, height + height % 2)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, frames_per_second, size)
    try:
        if not writer.isOpened():
            raise StartupError(f"{named} cannot be written as a video")
        yield VideoWriter(writer)
    finally:
        writer.release()


def _even(frame: cv2.typing.MatLike) -> cv2.typing.MatLike:
    height, width = frame.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return frame
    return cv2.copyMakeBorder(frame, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not video.isOpened():
            raise UnprocessableImage("is no video, or one that cannot be read")
        yield video
    finally:
        video.release()


def _facts(video: cv2.VideoCapture) -> VideoFacts:
    frames, rate = video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)
    usual = np.isfinite(rate) and rate > 0
    return VideoFacts(max(0, int(frames)), float(rate) if usual else _USUAL_FRAMES_PER_SECOND)
