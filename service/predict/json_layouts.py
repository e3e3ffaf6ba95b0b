"""Rows as they are: one a line, or all in one list."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from service.predict.results import Results, Writer, written_aside
from service.predict.sources import Source


def plan_jsonl(path: Path, _: Sequence[Source]) -> Writer:
    """JSON lines: a row a line."""
    return Writer(path, _write(path, lambda lines: lines))


def plan_json(path: Path, _: Sequence[Source]) -> Writer:
    """One JSON list of all rows."""
    return Writer(path, _write(path, _as_list))


def _write(path: Path, form: Callable[[Iterator[bytes]], Iterator[bytes]]) -> Callable[[Results], None]:
    def write(results: Results) -> None:
        with written_aside(path) as partial, partial.open("wb") as file:
            file.writelines(form(results.lines()))

    return write


def _as_list(lines: Iterator[bytes]) -> Iterator[bytes]:
    before = b"[\n"
    for line in lines:
        yield before + line.rstrip(b"\n")
        before = b",\n"
    yield b"\n]\n"
