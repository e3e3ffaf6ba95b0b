"""Of a PNG file, only what makes pixels reaches the decoder, and only if its sums are right."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from service.png_chunks import MOST_CHUNKS, keep_pixels_only
from tests.fakes import draw_discs, encode

PNG = encode(draw_discs())


def chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def test_other_chunks_and_what_follows_the_end_are_dropped() -> None:
    profile = chunk(b"iCCP", b"bad\0\0" + zlib.compress(bytes(10_000_000)))  # libpng would unpack this and complain
    kept = keep_pixels_only(PNG[:33] + profile + chunk(b"tEXt", b"Comment\0x") + PNG[33:] + b"behind")
    assert kept == keep_pixels_only(PNG)
    decoded = cv2.imdecode(np.frombuffer(kept, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape == (120, 160, 3)


@pytest.mark.parametrize(
    "data",
    [
        PNG[:-1],
        PNG[:-12],
        PNG[:33] + chunk(b"tEXt", b"Comment\0x")[:-1] + b"?" + PNG[33:],
        PNG[:50] + bytes([PNG[50] ^ 1]) + PNG[51:],
        PNG[:33] + b"\xff\xff\xff\xff" + PNG[37:],
        PNG[:33] + chunk(b"tEXt") * MOST_CHUNKS + PNG[33:],
    ],
)
def test_damage_is_found(data: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        keep_pixels_only(data)
