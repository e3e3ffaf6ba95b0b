"""What a reader gives: one entry for each annotated object, be it a sample, left out by rule, or faulty."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from model_export.data.keypoint_sample import KeypointSample
from model_export.errors import DataError

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An object that is no sample by a rule of its format, a crowd for instance; `rule` is what it is counted under."""

    rule: str


NO_VISIBLE_KEYPOINT = LeftOut("no visible keypoint")

# A fault is given, not raised: the caller decides whether it ends the reading or is skipped and counted.
Entry = KeypointSample | LeftOut | DataError


def parse_each(parsed: Iterable[Parsed], parse: Callable[[Parsed], KeypointSample | LeftOut]) -> Iterator[Entry]:
    """`parse` for each object of a file; the DataError of one is given in its place and the next one follows."""
    for value in parsed:
        try:
            yield parse(value)
        except DataError as error:
            yield error
