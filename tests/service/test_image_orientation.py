"""Every container, every orientation: turned once, and as Pillow turns it."""

import io
import struct
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from service.image_decoding import decode_image
from service.image_orientation import turn_upright
from tests.fakes import draw_discs

PLENTY = 10**9
PICTURE = draw_discs()
OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95},
    "MPO": {"quality": 95},  # a JPEG with others behind it, as telephones write it
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
}


@pytest.mark.parametrize("file_format", OPTIONS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured_once_in_every_container(file_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, file_format, exif=exif, **OPTIONS[file_format])
    with Image.open(io.BytesIO(file.getvalue())) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)
    decoded = decode_image(file.getvalue(), PLENTY, allow_tiff=True)
    assert decoded.shape == expected.shape == ((120, 160, 3) if orientation < 5 else (160, 120, 3))
    assert decoded.flags.c_contiguous
    assert np.abs(decoded - expected).max() <= (2 if file_format in {"JPEG", "MPO"} else 0)  # measured: 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_orientation_of_tiff_whatever_its_pixels(orientation: int, dtype: type[Any], channels: int) -> None:
    stored = PICTURE if channels == 3 else np.dstack([PICTURE.max(axis=2)] * 3)
    pixels: NDArray[Any] = (stored[:, :, ::-1] if channels == 3 else stored[:, :, 0]).astype(dtype)
    encoded = cv2.imencode(".tiff", pixels * (257 if dtype is np.uint16 else 1))[1].tobytes()
    decoded = decode_image(_with_orientation(encoded, orientation), PLENTY, allow_tiff=True)
    assert np.array_equal(decoded, turn_upright(stored, orientation))


def _with_orientation(tiff: bytes, orientation: int) -> bytes:
    """The file with a new first directory behind it that has the tag too, whether or not the old one has."""
    (start,) = struct.unpack_from("<I", tiff, 4)
    (count,) = struct.unpack_from("<H", tiff, start)
    entries = [tiff[start + 2 + 12 * index :][:12] for index in range(count)]
    entries = [entry for entry in entries if entry[:2] != struct.pack("<H", 274)]
    entries.append(struct.pack("<HHIHH", 274, 3, 1, orientation, 0))
    entries.sort(key=lambda entry: struct.unpack("<H", entry[:2]))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + directory
