"""The frames of all sources in one row: every picture is one, every video has many."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import UnprocessableImage
from service.predict.sources import Source
from service.predict.video_files import read_video, read_video_facts

Picture = bytes | NDArray[np.uint8]


class Frame(NamedTuple):
    """One picture to be looked at.

    Attributes:
        file: name of the source.
        number: of the frame in its video, from 0; None for a picture, and for what is wrong with a video as a whole.
        picture: the bytes of a picture file, or a video's frame: RGB (H, W, 3).
        fault: why there is none.
    """

    file: str
    number: int | None
    picture: Picture = b""
    fault: str = ""

    @property
    def bytes_in_memory(self) -> int:
        """What it takes while it waits."""
        return self.picture.nbytes if isinstance(self.picture, np.ndarray) else len(self.picture)


class Position(NamedTuple):
    """Where to go on: the index of a source, and the number of a frame in it."""

    source: int = 0
    frame: int = 0


def read_frames(sources: Sequence[Source], start: Position) -> Iterator[Frame]:
    """Every frame from `start` on; a file that cannot be read is one frame with a fault."""
    for index, source in enumerate(sources[start.source :], start.source):
        yield from frames_of(source, start.frame if index == start.source else 0)


def frames_of(source: Source, start: int = 0) -> Iterator[Frame]:
    """The frames of one source, a video's from number `start`, and what is wrong with it as a last one."""
    if not source.is_video:
        yield _picture(source)
        return
    try:
        for number, image in enumerate(read_video(source.path, start), start):
            yield Frame(source.name, number, image)
    except UnprocessableImage as error:
        yield Frame(source.name, None, fault=str(error))


def count_frames(sources: Sequence[Source]) -> int | None:
    """How many frames there will be as far as the headers of videos tell; None where one of them does not."""
    counts = [_claimed(source) if source.is_video else 1 for source in sources]
    return sum(counts) if all(counts) else None


def _claimed(video: Source) -> int:
    try:
        return read_video_facts(video.path).frames
    except UnprocessableImage:
        return 1  # the row that says so


def _picture(source: Source) -> Frame:
    try:
        return Frame(source.name, None, source.path.read_bytes())
    except OSError as error:
        return Frame(source.name, None, fault=f"cannot be read ({error.strerror})")
