"""The rows so far, in a file beside the output: what a job that was ended at any moment goes on from.

The first line says what the rows are of: the model, what was asked, the files and when they were last changed. Each row
is appended in the order of the frames and is one line; a line that a sudden end has cut off is not counted, and the
next row takes its place. So every frame has one row, however often the job was started.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from service.errors import StartupError

_RESTART = "give what was given then, or --restart to begin anew"


class Journal:
    """Opened by `open_journal`.

    Attributes:
        rows: how many there are.
        last: the last of them as it stands in the file; empty if there is none.
    """

    def __init__(self, path: Path, file: BinaryIO, rows: int, last: bytes) -> None:
        self._path = path
        self._file = file
        self.rows = rows
        self.last = last

    def append(self, line: bytes) -> None:
        """Add a row, which ends in a line feed; it is safe from the end of this process when this returns."""
        assert line.endswith(b"\n"), "a row is a line"
        assert line.count(b"\n") == 1, "a row is one line"
        self._file.write(line)
        self._file.flush()
        self.rows += 1

    def lines(self) -> Iterator[bytes]:
        """Every row, from the first."""
        with self._path.open("rb") as file:
            next(file)
            yield from file

    def remove(self) -> None:
        """The job is done."""
        self._path.unlink()


@contextmanager
def open_journal(path: Path, what: Mapping[str, Any], *, restart: bool = False) -> Iterator[Journal]:
    """The journal of a job, new or as it was left; the block's end closes it.

    Args:
        path: the file.
        what: the rows are of this; JSON, key by key compared with what stands there.
        restart: throw away what is there.

    Raises:
        StartupError: the file cannot be used, another process writes it, or its rows are of something else.
    """
    try:
        file = path.open("a+b")
    except OSError as error:
        raise StartupError(f"{path} cannot be written ({error.strerror})") from error
    with file:
        _lock(path, file)
        if restart:
            file.truncate(0)
        yield _resumed(path, file, orjson.loads(orjson.dumps(what)))


def _lock(path: Path, file: BinaryIO) -> None:
    """Keep others out until the file is closed, or this process ends; not on Windows."""
    if sys.platform == "win32":
        return
    import fcntl  # noqa: PLC0415 - Windows has none

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StartupError(f"{path}: another focalpoint predict is at work on it") from error


def _resumed(path: Path, file: BinaryIO, what: dict[str, Any]) -> Journal:
    file.seek(0)
    head = file.readline()
    if not head.endswith(b"\n"):
        file.truncate(0)
        file.write(orjson.dumps(what) + b"\n")
        file.flush()
        return Journal(path, file, 0, b"")
    _compare(path, head, what)
    rows, whole_bytes, last = 0, len(head), b""
    for line in file:
        if line.endswith(b"\n"):
            rows, whole_bytes, last = rows + 1, whole_bytes + len(line), line
    file.truncate(whole_bytes)
    file.seek(0, os.SEEK_END)
    return Journal(path, file, rows, last)


def _compare(path: Path, head: bytes, what: dict[str, Any]) -> None:
    try:
        then = orjson.loads(head)
    except orjson.JSONDecodeError as error:
        raise StartupError(
            f"{path} is not a journal of focalpoint predict; remove it, or name another output"
        ) from error
    if not isinstance(then, dict) or then.keys() != what.keys():
        raise StartupError(f"{path} is the journal of another version of focalpoint predict; {_RESTART}")
    for key, now in what.items():
        if then[key] != now:
            raise StartupError(f"{path}: the rows so far are of {_difference(key, then[key], now)}; {_RESTART}")


def _difference(key: str, then: Any, now: Any) -> str:
    if isinstance(then, dict) and isinstance(now, dict):
        differing = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
        name = differing[0]
        if name not in then or name not in now:
            return f"other {key}: {name} was {'not ' if name not in then else ''}among them"
        return f"another {key}: {name} has changed from {_short(then[name])} to {_short(now[name])}"
    return f"another {key}: {_short(then)} then, {_short(now)} now"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 40 else f"{text[:40]}..."
