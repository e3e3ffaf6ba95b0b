"""Which of the media types that there are a client wants (RFC 9110, section 12.5.1)."""

import re
from collections.abc import Sequence

from service.errors import NotAcceptable
from service.quoting import quoted

_QUALITY = re.compile(r"q=([01](?:\.\d{0,3})?)", re.IGNORECASE)
_MOST_RANGES = 50


def choose_media_type(accept: str, offered: Sequence[str]) -> str:
    """The offered type that an `Accept` header likes best; the first of them where it likes several the same.

    Args:
        accept: the header; empty takes everything.
        offered: media types, as `image/png`.

    Raises:
        NotAcceptable: it excludes all of them.
    """
    ranges = [_parse(text) for text in accept.split(",")[:_MOST_RANGES] if text.strip()] or [("*/*", 1.0)]
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))  # max() keeps the first of equals
    if not _quality(best, ranges):
        raise NotAcceptable(f"Accept: expected {' or '.join(offered)}, found {quoted(accept)}")
    return best


def _parse(text: str) -> tuple[str, float]:
    media_range, *parameters = (part.strip() for part in text.split(";"))
    qualities = [float(match[1]) for match in map(_QUALITY.fullmatch, parameters) if match]
    return media_range.lower(), qualities[0] if qualities else 1.0


def _quality(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """What the most specific range says that the type is in; 0 if it is in none."""
    for wanted in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        found = [quality for media_range, quality in ranges if media_range == wanted]
        if found:
            return max(found)
    return 0.0
