"""What `focalpoint predict` looks at: picture and video files, found in folders and named."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from service.errors import InvalidSetting, StartupError

PICTURE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
TIFF_SUFFIXES: Final = (".tif", ".tiff")
VIDEO_SUFFIXES: Final = (".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".wmv")


class Source(NamedTuple):
    """One file.

    Attributes:
        name: its path relative to the folder it was found in, or as it was given; with forward slashes.
        path: where it lies.
        is_video: by its suffix.
        size_bytes, modified_ns: as they are at the start, to notice that a file has changed since.
    """

    name: str
    path: Path
    is_video: bool
    size_bytes: int
    modified_ns: int


def find_sources(inputs: Sequence[Path], outputs: Sequence[Path], *, allow_tiff: bool = False) -> list[Source]:
    """Every picture, then every video; of a folder all those below it, by their suffixes, in the order of their names.

    A file that is given by itself is a picture whatever its suffix, unless that is a video's. Hidden files are left
    out, and so is what lies below those `outputs` that are inside of an input: a second run would take drawings for
    pictures.

    Args:
        inputs: files and folders.
        outputs: what will be written.
        allow_tiff: whether TIFF files of a folder are taken.

    Raises:
        StartupError: an input is not there, or nothing is to be looked at.
        InvalidSetting: two files would have the same name.
    """
    written = {output.resolve() for output in outputs}
    suffixes = {*PICTURE_SUFFIXES, *VIDEO_SUFFIXES, *(TIFF_SUFFIXES if allow_tiff else ())}
    sources = [source for given in inputs for source in _sources_of(given, suffixes, written)]
    if not sources:
        raise StartupError(
            f"{', '.join(map(str, inputs))}: expected pictures ({' '.join(PICTURE_SUFFIXES)}) or videos "
            f"({' '.join(VIDEO_SUFFIXES)}), found none"
        )
    [(name, times)] = Counter(source.name for source in sources).most_common(1)
    if times > 1:
        raise InvalidSetting(f"predict: {times} files would be called {name!r}; give one folder above all of them")
    return sorted(sources, key=lambda source: (source.is_video, source.name))


def _sources_of(given: Path, suffixes: set[str], written: set[Path]) -> Iterator[Source]:
    if not given.is_dir():
        yield _source(given.as_posix(), given)
        return
    inner = {output for output in written if given.resolve() in output.parents}
    for path in sorted(given.rglob("*")):
        inside = path.relative_to(given)
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or path.suffix.lower() not in suffixes or not path.is_file():
            continue
        resolved = path.resolve()
        if inner.isdisjoint((resolved, *resolved.parents)):
            yield _source(inside.as_posix(), path)


def _source(name: str, path: Path) -> Source:
    try:
        status = path.stat()
    except OSError as error:
        raise StartupError(f"{path} cannot be read ({error.strerror})") from error
    return Source(name, path, path.suffix.lower() in VIDEO_SUFFIXES, status.st_size, status.st_mtime_ns)
