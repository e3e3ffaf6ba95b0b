"""What a job has found, for whoever writes it, and how files are written: aside, then renamed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from service.errors import StartupError
from service.predict.lookers import LookingModel
from service.predict.rows import Row, decode_row
from service.predict.sources import Source


class Results(NamedTuple):
    """The rows of all frames, in the order of the sources.

    Attributes:
        model: what found it.
        sources: the files.
        lines: every row as JSON, from the first; may be called several times.
    """

    model: LookingModel
    sources: Sequence[Source]
    lines: Callable[[], Iterator[bytes]]

    def rows(self) -> Iterator[Row]:
        """Every row."""
        return map(decode_row, self.lines())


class Writer(NamedTuple):
    """Writes results to a file or a folder; made before the job, so that what cannot be written is known then."""

    path: Path
    write: Callable[[Results], None]


def make_folder(path: Path) -> None:
    """Make a folder, and those above it.

    Raises:
        StartupError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(f"{path} cannot be made ({error.strerror})") from error


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A file to be written instead of `path`, of the same suffix, which takes its place when the block is done.

    Raises:
        StartupError: it cannot be written.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise StartupError(f"{path} cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)
