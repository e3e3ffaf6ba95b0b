"""Boxes for many frames: the same ones everywhere, or a file that gives each frame its own.

A table in CSV, whose first line names the columns; a picture leaves `frame` empty, without videos it may be missing:

    file,frame,x,y,width,height
    clip.mp4,0,120,80,200,180

or the same in JSON: `[{"file": "clip.mp4", "frame": 0, "box": [120, 80, 200, 180]}, ...]`. Several lines of one frame
are several objects. A frame that the file does not name shows none.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from service.box_parsing import parse_boxes
from service.contract.crop_transform import Box
from service.errors import InvalidParameter, StartupError
from service.predict.sources import Source

# The boxes of a frame, by the name of its file and its number (None: a picture). None at all: it shows no object. An
# empty list: it shows one, which fills it.
BoxesOf = Callable[[str, int | None], Sequence[Box] | None]

_COLUMNS = ("file", "frame", "x", "y", "width", "height")
_NUMBERS = _COLUMNS[2:]


def same_boxes(boxes: Sequence[Box]) -> BoxesOf:
    """The same boxes in every frame."""
    return lambda _file, _frame: boxes


def read_boxes(path: Path, sources: Sequence[Source], max_boxes: int) -> BoxesOf:
    """The boxes of a file.

    Args:
        path: CSV, or JSON if its name ends in `.json`.
        sources: what the file may name.
        max_boxes: the most of one frame.

    Raises:
        StartupError: the file cannot be read, is of another form, or names a file that is not looked at.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"--boxes {path} cannot be read ({error})") from error
    read = _json_entries if path.suffix.lower() == ".json" else _csv_entries
    is_video = {source.name: source.is_video for source in sources}
    boxes: dict[tuple[str, int | None], list[Box]] = {}
    for where, entry in read(path, text):
        file, frame = entry.get("file"), entry.get("frame")
        if file not in is_video:
            raise StartupError(f"{where}: file: expected one of those that are looked at, found {file!r}")
        if is_video[file] != isinstance(frame, int):
            expected = "the number of a frame, from 0" if is_video[file] else "nothing, for it is a picture"
            raise StartupError(f"{where}: frame: expected {expected}, found {frame!r}")
        try:
            [box] = parse_boxes([entry.get("box")], 1)
        except InvalidParameter as error:
            raise StartupError(f"{where}: {error}") from error
        boxes.setdefault((file, frame), []).append(box)
    _check_numbers(path, boxes, max_boxes)
    return lambda file, frame: boxes.get((file, frame))


def _check_numbers(path: Path, boxes: Mapping[tuple[str, int | None], Sequence[Box]], max_boxes: int) -> None:
    for (file, frame), found in boxes.items():
        if len(found) > max_boxes:
            place = file if frame is None else f"{file}, frame {frame}"
            raise StartupError(f"--boxes {path}: {place}: expected at most {max_boxes} boxes, found {len(found)}")


def _json_entries(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        entries = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise StartupError(f"--boxes {path} is no JSON ({error})") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise StartupError(f'--boxes {path}: expected a list of {{"file": ..., "frame": ..., "box": [x, y, w, h]}}')
    return ((f"--boxes {path}, entry {index}", entry) for index, entry in enumerate(entries))


def _csv_entries(path: Path, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = reader.fieldnames or ()
    missing = [name for name in _COLUMNS if name not in columns and name != "frame"]
    if missing:
        raise StartupError(
            f"--boxes {path}, line 1: expected the columns {','.join(_COLUMNS)}, found no {', '.join(missing)}"
        )
    return _csv_lines(path, reader)


def _csv_lines(path: Path, lines: Iterable[Mapping[str, str | None]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(lines, 2):
        frame = line.get("frame") or None
        box = [_number_or_text(line[name]) for name in _NUMBERS]
        yield (
            f"--boxes {path}, line {number}",
            {"file": line["file"], "frame": int(frame) if frame and frame.isdecimal() else frame, "box": box},
        )


def _number_or_text(text: str | None) -> float | str | None:
    try:
        return float(text or "")
    except ValueError:
        return text
