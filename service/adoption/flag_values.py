"""Flags that are more than a word: sizes, triples of numbers, boxes."""

from typing import Any

from service.adoption.facts import Fact, facts_from
from service.box_parsing import parse_boxes, split_boxes
from service.contract.crop_transform import Box
from service.errors import InvalidParameter, InvalidSetting


def facts_from_flags(**flags: Any) -> dict[str, Fact]:
    """The flags that are given, each with its own name as its source."""
    facts: dict[str, Fact] = {}
    for name, value in flags.items():
        facts |= facts_from(f"given by --{name.replace('_', '-')}", {name: value})
    return facts


def read_size(text: str | None) -> tuple[int, int] | None:
    """Width and height from `192x256`.

    Raises:
        InvalidSetting: it is something else.
    """
    if text is None:
        return None
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise InvalidSetting(f"--size: expected WIDTHxHEIGHT such as 192x256, found {text!r}")
    return int(width), int(height)


def read_triple(flag: str, text: str | None) -> tuple[float, ...] | None:
    """Three numbers with commas between them.

    Raises:
        InvalidSetting: it is something else.
    """
    if text is None:
        return None
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3:
        raise InvalidSetting(f"{flag}: expected three numbers such as 123.675,116.28,103.53, found {text!r}")
    return numbers


def read_box(text: str) -> Box:
    """A box from `x,y,width,height`.

    Raises:
        InvalidSetting: it is something else.
    """
    try:
        (box,) = parse_boxes(split_boxes(text), 1)
    except (InvalidParameter, ValueError) as error:
        raise InvalidSetting(f"--box: expected x,y,width,height, found {text!r} ({error})") from error
    return box
