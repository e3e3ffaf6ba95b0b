"""The chunks of a PNG file that make its pixels (PNG specification, third edition, section 5)."""

import struct
import zlib
from collections.abc import Iterator

MOST_CHUNKS = 8000  # a file of 60 MB as libpng writes it
_SIGNATURE_BYTES = 8
_KEPT = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})


def keep_pixels_only(data: bytes) -> bytes:
    """The same picture without comments, profiles, frames of an animation and whatever else may stand in a PNG file.

    None of it changes a pixel here, but libpng unpacks some of it and complains about some on the error stream. All
    chunks have to have the right sums, so that libpng does not come to complain about damage either.

    Raises:
        ValueError, struct.error: a chunk is cut off, does not have its sum, or the last one is missing.
    """
    view = memoryview(data)
    kept = (view[start:end] for name, start, end in _chunks(view) if name in _KEPT)
    return b"".join((view[:_SIGNATURE_BYTES], *kept))


def _chunks(view: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk up to IEND."""
    start = _SIGNATURE_BYTES
    for _ in range(MOST_CHUNKS):
        (length,) = struct.unpack_from(">I", view, start)
        end = start + 12 + length
        name = bytes(view[start + 4 : start + 8])
        (expected,) = struct.unpack_from(">I", view, end - 4)
        if zlib.crc32(view[start + 4 : end - 4]) != expected:
            raise ValueError(f"the chunk {name!r} does not have its sum")
        yield name, start, end
        if name == b"IEND":
            return
        start = end
    raise ValueError(f"expected at most {MOST_CHUNKS} chunks")
