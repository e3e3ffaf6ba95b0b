"""Pictures and videos with their keypoints drawn on them, in a second pass over the files."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import groupby, islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from service.drawing import draw_instances
from service.errors import InvalidSetting, StartupError
from service.image_decoding import decode_image
from service.predict.frames import Picture, frames_of
from service.predict.results import Results, Writer, make_folder, written_aside
from service.predict.rows import Row
from service.predict.sources import PICTURE_SUFFIXES, Source
from service.predict.video_files import FOURCC_OF_SUFFIX, VideoWriter, open_video_writer, read_video_facts
from service.settings import usable_cores

DRAWN_SUFFIXES = (*PICTURE_SUFFIXES, *FOURCC_OF_SUFFIX)
_NO_LIMIT = 2**62  # of pixels: these pictures have been looked at
_FOLDER_VIDEO = ".mp4"
_ROWS_AT_ONCE = 256


def plan_drawings(path: Path, sources: Sequence[Source]) -> Writer:
    """A drawing of the one source; in a folder one of each, under its name, videos as `.mp4`.

    Raises:
        InvalidSetting: a file for several sources or of the wrong kind, two drawings of one name, or over a source.
    """
    if path.is_dir() or not path.suffix:
        targets = {source.name: path / _drawing_name(source) for source in sources}
    else:
        [first, *others] = sources
        suffixes = tuple(FOURCC_OF_SUFFIX) if first.is_video else PICTURE_SUFFIXES
        if others:
            raise InvalidSetting(f"--output {path}: for {len(sources)} files expected a folder, found {path.name}")
        if path.suffix.lower() not in suffixes:
            kind = "video" if first.is_video else "picture"
            raise InvalidSetting(
                f"--output {path}: for a {kind} expected a name that ends in {' '.join(suffixes)}, found {path.name}"
            )
        targets = {first.name: path}
    [(target, times)] = Counter(targets.values()).most_common(1)
    if times > 1:
        raise InvalidSetting(f"--output {path}: {times} files would be drawn to {target}; rename one of them")
    originals = {source.path.resolve() for source in sources}
    for target in targets.values():
        if target.resolve() in originals:
            raise InvalidSetting(f"--output {path}: {target} would be written over; name another folder")
    return Writer(path, lambda results: _write(results, targets))


def _drawing_name(source: Source) -> Path:
    name = Path(source.name.removeprefix("/"))
    if source.is_video:
        return name.with_suffix(_FOLDER_VIDEO)
    return name if name.suffix.lower() in PICTURE_SUFFIXES else name.with_suffix(".png")


def _write(results: Results, targets: dict[str, Path]) -> None:
    sources = {source.name: source for source in results.sources}
    skeleton = results.model.keypoints.skeleton

    def draw_picture(row: Row) -> None:
        frame = next(frames_of(sources[row.file]))
        if row.estimate is not None:
            make_folder(targets[row.file].parent)
            write_picture(targets[row.file], draw_row(frame.picture, row, skeleton))

    with ThreadPoolExecutor(usable_cores()) as pool:
        for is_video, rows in groupby(results.rows(), lambda row: sources[row.file].is_video):
            if not is_video:
                while part := list(islice(rows, _ROWS_AT_ONCE)):
                    list(pool.map(draw_picture, part))
                continue
            for file, of_video in groupby(rows, lambda row: row.file):
                _draw_video(sources[file], of_video, targets[file], skeleton)


def draw_row(picture: Picture, row: Row, skeleton: Sequence[tuple[int, int]]) -> NDArray[np.uint8]:
    """A frame's picture as RGB (H, W, 3), with what was found in it."""
    image = decode_image(picture, _NO_LIMIT, allow_tiff=True) if isinstance(picture, bytes) else picture
    return draw_instances(image, row.estimate.instances if row.estimate else [], skeleton)


def write_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB picture (H, W, 3) in the format of the path's suffix.

    Raises:
        StartupError: the file cannot be written, or its suffix is of no format.
    """
    try:
        written, encoded = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise StartupError(f"{path}: expected a name that ends in .png, .jpg or .webp") from error
    assert written, "an image that was decoded can be encoded"
    with written_aside(path) as partial:
        partial.write_bytes(np.asarray(encoded).tobytes())


def _draw_video(source: Source, rows: Iterator[Row], target: Path, skeleton: Sequence[tuple[int, int]]) -> None:
    """Every frame has its row, in order; a row without a frame says what is wrong, and is the last one."""
    with ExitStack() as stack:
        writer: VideoWriter | None = None
        for frame, row in zip(frames_of(source), rows, strict=False):
            if frame.number is None:
                break
            assert (frame.number, source.name) == (row.frame, row.file), "rows are in the order of the frames"
            drawn = draw_row(frame.picture, row, skeleton)
            if writer is None:
                make_folder(target.parent)
                partial = stack.enter_context(written_aside(target))
                height, width = drawn.shape[:2]
                rate = read_video_facts(source.path).frames_per_second
                writer = stack.enter_context(open_video_writer(partial, rate, width, height, target))
            writer.write(drawn)
