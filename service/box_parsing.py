"""Boxes as clients write them: JSON lists, or numbers in a query."""

from typing import Any

from service.contract.crop_transform import Box
from service.errors import InvalidParameter
from service.quoting import quoted


def parse_boxes(boxes: Any, max_boxes: int) -> list[Box]:
    """Boxes from decoded JSON: a list of `[x, y, width, height]`.

    Raises:
        InvalidParameter: it is something else, too many, not finite, or without width or height.
    """
    if not isinstance(boxes, list):
        raise InvalidParameter(f"boxes: expected a list of [x, y, width, height], found {quoted(boxes)}")
    if len(boxes) > max_boxes:
        raise InvalidParameter(f"boxes: expected at most {max_boxes}, found {len(boxes)}")
    return [_parse_box(index, box) for index, box in enumerate(boxes)]


def _parse_box(index: int, box: Any) -> Box:
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(number) for number in box):
        raise InvalidParameter(f"boxes[{index}]: expected four numbers x, y, width, height, found {quoted(box)}")
    try:
        return Box(*map(float, box))
    except (ValueError, OverflowError) as error:
        raise InvalidParameter(f"boxes[{index}]: {error}") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def split_boxes(text: str) -> list[list[float | str]]:
    """`x,y,w,h;x,y,w,h` as lists; what is no number stays text, for `parse_boxes` to refuse."""
    return [[_number_or_text(number) for number in box.split(",")] for box in text.split(";") if box.strip()]


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
