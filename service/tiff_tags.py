"""The first directory of a TIFF structure, which EXIF is too (TIFF 6.0, section 2; EXIF 2.32, section 4.5)."""

import struct
from typing import NamedTuple

ORIENTATION = 274

_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_NUMBERS = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}  # BYTE, SHORT, LONG
_MOST_TAGS = 512  # of a hundred that are registered; a directory may claim 65,535
_MOST_NUMBERS = 16


class Tag(NamedTuple):
    """The numbers of a tag, and where the bytes of the first one lie."""

    values: tuple[int, ...]
    position: int
    layout: str


def read_tags(data: bytes) -> dict[int, Tag]:
    """The tags with whole numbers in the first directory; those with many are left out.

    Raises:
        ValueError: there is no such directory, or more than 512 tags in it.
        struct.error: it is cut off.
    """
    order = _BYTE_ORDERS.get(data[:4])
    if order is None:
        raise ValueError("a TIFF structure starts with its byte order and 42")
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    if count > _MOST_TAGS:
        raise ValueError(f"expected at most {_MOST_TAGS} tags, found {count}")
    tags: dict[int, Tag] = {}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, numbers = struct.unpack_from(order + "HHI", data, entry)
        if kind not in _NUMBERS or not 1 <= numbers <= _MOST_NUMBERS:
            continue
        letter, size = _NUMBERS[kind]
        # Up to four bytes lie in the entry itself, more of them where it points.
        position = entry + 8 if numbers * size <= 4 else struct.unpack_from(order + "I", data, entry + 8)[0]
        layout = f"{order}{numbers}{letter}"
        tags.setdefault(tag, Tag(struct.unpack_from(layout, data, position), position, layout))
    return tags


def orientation_of(tags: dict[int, Tag]) -> int:
    """The orientation, 1 to 8; 1 where there is none that is valid."""
    value = tags[ORIENTATION].values[0] if ORIENTATION in tags else 1
    return value if 1 <= value <= 8 else 1


def exif_orientation(exif: bytes) -> int:
    """The orientation that an EXIF block states, 1 to 8; a block that is broken states nothing, which is 1."""
    try:
        return orientation_of(read_tags(exif.removeprefix(b"Exif\0\0")))
    except (ValueError, struct.error):
        return 1
