"""What a request may choose beside its picture: which model answers, and in what form."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, get_args

from service.errors import InvalidParameter
from service.quoting import quoted

Coordinates = Literal["pixel", "normalized"]
AnswerFormat = Literal["native", "coco", "compact"]

_MOST_CHARACTERS = 128


class AnswerOptions(NamedTuple):
    """The choices of one request.

    Attributes:
        model: name; None for the default.
        version: of it; None for the newest.
        coordinates: pixels of the picture, or shares of its width and height.
        format: the shape of the JSON.
        heatmaps: whether to add them.
    """

    model: str | None = None
    version: str | None = None
    coordinates: Coordinates = "pixel"
    format: AnswerFormat = "native"
    heatmaps: bool = False


OPTION_NAMES: Final = AnswerOptions._fields
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "coordinates": get_args(Coordinates),
    "format": get_args(AnswerFormat),
}


def parse_options(values: Mapping[str, Any]) -> AnswerOptions:
    """The options among some values, by name; other names are somebody else's.

    Raises:
        InvalidParameter: an option is no text, or none of its choices.
    """
    found = {name: values[name] for name in OPTION_NAMES if name in values}
    heatmaps = found.pop("heatmaps", False)
    if not (isinstance(heatmaps, bool) or heatmaps in ("true", "false")):
        raise InvalidParameter(f"heatmaps: expected true or false, found {quoted(heatmaps)}")
    for name, value in found.items():
        if not (isinstance(value, str) and 0 < len(value) <= _MOST_CHARACTERS):
            raise InvalidParameter(
                f"{name}: expected a text of 1 to {_MOST_CHARACTERS} characters, found {quoted(value)}"
            )
        if value not in _CHOICES.get(name, (value,)):
            raise InvalidParameter(f"{name}: expected {' or '.join(_CHOICES[name])}, found {quoted(value)}")
    options = AnswerOptions(**found, heatmaps=heatmaps in (True, "true"))
    if options.heatmaps and options.format != "native":
        raise InvalidParameter(f"heatmaps: expected the format native, found {options.format}")
    return options
