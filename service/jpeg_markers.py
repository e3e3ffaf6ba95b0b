"""The markers of a JPEG file (ITU-T T.81, annex B), walked in a bounded number of steps."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from service.tiff_tags import exif_orientation

# Start-of-frame markers carry the size; C4, C8 and CC lie in their range and mean other things.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL_FRAMES = frozenset({0xC0, 0xC1, 0xC9})
_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xDA, 0xD9
# FF may be repeated before a marker; within a scan, FF 00 and FF D0 ... D7 belong to the picture. One FF in each
# pattern: with a repetition, megabytes of FF would take the square of their number.
_MARKER = re.compile(rb"\xff[^\xff]")
_MARKER_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# A profile or a depth map of 20 MB takes about 320 segments.
_MOST_MARKERS = 2000
_MOST_PADDING_BYTES = 2**16  # between segments, all together


class JpegHeader(NamedTuple):
    """Size in pixels as stored, and the EXIF orientation."""

    width: int
    height: int
    orientation: int


def read_jpeg_header(data: bytes) -> JpegHeader:
    """What stands before the first scan.

    Raises:
        ValueError, struct.error: it is cut off, broken, or of more than 2000 markers.
    """
    size: tuple[int, int] | None = None
    orientation: int | None = None
    for marker, _, position in _markers(data):
        if marker in _FRAMES and size is None:
            height, width = struct.unpack_from(">HH", data, position + 3)
            size = width, height
        elif marker == _APP1 and orientation is None and data.startswith(b"Exif\0\0", position + 2):
            (length,) = struct.unpack_from(">H", data, position)
            orientation = exif_orientation(data[position + 2 : position + length])
        elif marker in {_START_OF_SCAN, _END_OF_IMAGE}:
            break
    if size is None:
        raise ValueError("a frame was expected before the first scan")
    return JpegHeader(*size, orientation or 1)


def has_more_scans(data: bytes, most: int) -> bool:
    """Whether a picture comes in more scans.

    Each scan of a progressive file runs over the whole picture and may take sixty bytes: a small file could keep a
    decoder for hours.

    Raises:
        ValueError, struct.error: the markers are broken, or more than 2000.
    """
    # Few files need the whole walk; those that do have a video or a second picture behind this one.
    if _is_one_scan(data) or data.count(bytes([0xFF, _START_OF_SCAN])) <= most:
        return False
    scans = sum(marker == _START_OF_SCAN for marker, *_ in _markers(data))
    return scans > most


def _is_one_scan(data: bytes) -> bool:
    """Whether the first scan of a sequential picture has all its components: libjpeg then refuses a second one."""
    components = None
    for marker, _, position in _markers(data):
        if marker in _FRAMES:
            if marker not in _SEQUENTIAL_FRAMES:
                return False
            (components,) = struct.unpack_from(">B", data, position + 7)
        elif marker == _START_OF_SCAN:
            return struct.unpack_from(">B", data, position + 2) == (components,)
    return False


def without_padding(data: bytes, count: int, marker: int) -> bytes | None:
    """The file without `count` zeros before the first such marker that has them; nothing if none has.

    They must lie between two segments, or in a scan: what belongs to a segment stays, or it would take the next one's
    first bytes for its own.

    Raises:
        ValueError, struct.error: the markers are broken, or more than 2000.
    """
    zeros, end = bytes(count), 2
    for found, start, position in _markers(data):
        padding = start - count
        if found == marker and padding >= end and data.startswith(zeros, padding) and data[padding - 1] != 0xFF:
            return data[:padding] + data[start:]
        if found == _END_OF_IMAGE:
            break
        end = position + (0 if found in _WITHOUT_LENGTH else struct.unpack_from(">H", data, position)[0])
    return None


def _markers(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Each marker from the first to the end of the image, where it starts, and where what follows it does."""
    position, in_scan, padding = 2, False, _MOST_PADDING_BYTES
    for _ in range(_MOST_MARKERS):
        if in_scan:
            found = _MARKER_AFTER_SCAN.search(data, position)
        else:  # what is not a marker is skipped as libjpeg does: some cameras pad their headers with zeros
            found = _MARKER.search(data, position, position + padding)
        if found is None:
            return
        padding -= 0 if in_scan else found.start() - position
        marker, position = found[0][1], found.end()
        yield marker, found.start(), position
        if marker == _END_OF_IMAGE:
            return
        in_scan = marker == _START_OF_SCAN
        if marker not in _WITHOUT_LENGTH:
            position += struct.unpack_from(">H", data, position)[0]
    raise ValueError(f"expected at most {_MOST_MARKERS} markers")
