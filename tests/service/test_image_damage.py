"""Damaged files: whatever happens to the bytes, the answer is pixels or an error of the request."""

import io
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.errors import UnprocessableImage, UnsupportedMediaType
from service.image_decoding import decode_image, silence_native_libraries

# Format, options, and the least share of files with one flipped bit that has to be refused. Of JPEG, WebP and the rest
# it is what their coding lets a decoder see: they have no sums, and most flips leave another valid picture.
KINDS: list[tuple[str, dict[str, Any], float]] = [
    ("JPEG", {"quality": 90}, 0.1),  # measured: 0.20
    ("JPEG", {"quality": 90, "progressive": True}, 0.25),  # measured: 0.41
    ("PNG", {}, 1.0),
    ("WEBP", {"quality": 80}, 0.0),  # measured: 0.01
    ("WEBP", {"lossless": True}, 0.03),  # measured: 0.11
    ("BMP", {}, 0.0),
    ("TIFF", {}, 0.0),
    ("TIFF", {"compression": "tiff_adobe_deflate"}, 0.0),
]


@pytest.fixture(scope="module", autouse=True)
def silence() -> None:
    silence_native_libraries()


def encoded(file_format: str, options: dict[str, Any]) -> bytes:
    generator = np.random.default_rng(0)
    rough = Image.fromarray(generator.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize((96, 72))
    file = io.BytesIO()
    rough.save(file, file_format, **options)
    return file.getvalue()


def flipped(data: bytes, count: int) -> Iterator[bytes]:
    seeded = random.Random(1)
    for _ in range(count):
        damaged = bytearray(data)
        damaged[seeded.randrange(len(data))] ^= 1 << seeded.randrange(8)
        yield bytes(damaged)


def is_refused(data: bytes) -> bool:
    try:
        pixels = decode_image(data, 10**6, allow_tiff=True)
    except (UnprocessableImage, UnsupportedMediaType):
        return True
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    return False


@pytest.mark.parametrize(("file_format", "options", "least_share"), KINDS)
def test_a_flipped_bit_is_refused_or_harmless(
    file_format: str, options: dict[str, Any], least_share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = [is_refused(damaged) for damaged in flipped(encoded(file_format, options), 300)]
    assert sum(refused) / len(refused) >= least_share
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("file_format", "options", "_"), KINDS)
def test_a_file_that_is_cut_off_is_refused(
    file_format: str, options: dict[str, Any], _: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = encoded(file_format, options)
    assert not is_refused(data)
    assert all(is_refused(data[: len(data) * share // 50]) for share in range(50))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("file_format", "options", "_"), KINDS)
def test_blocks_of_noise_or_zeros(file_format: str, options: dict[str, Any], _: float) -> None:
    data = encoded(file_format, options)
    seeded = random.Random(2)
    for length in (4, 16, 64, 256):
        for filling in (bytes(length), seeded.randbytes(length)):
            for _ in range(5):
                start = seeded.randrange(len(data))
                is_refused(data[:start] + filling + data[start + length :])
                is_refused(data[:start] + filling + data[start:])
                is_refused(data[:start] + data[start + length :])
