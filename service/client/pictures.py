"""A picture as a caller has it, as the bytes of a file that the service reads."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = bytes | bytearray | memoryview | str | Path | NDArray[np.uint8]

_FAST_PNG = 1  # of nine; a higher one takes several times as long for a few per cent


def picture_file(picture: Picture) -> tuple[bytes, str]:
    """The bytes of an image file, and its media type.

    Args:
        picture: the bytes of a file; the path of one; or an RGB array uint8 (H, W, 3), which becomes a PNG: nothing is
            lost, so that the server sees these very pixels.

    Raises:
        OSError: the file cannot be read.
        ValueError: no bytes, an array of another type or shape, or something else altogether.
    """
    if isinstance(picture, np.ndarray):
        return _png(picture), "image/png"
    content = Path(picture).read_bytes() if isinstance(picture, str | Path) else _bytes(picture)
    if not content:
        raise ValueError("picture: expected an image file, found no bytes")
    # The service goes by a file's first bytes, so that nobody need guess its format here.
    return content, "application/octet-stream"


def picture_pixels(picture: Picture) -> NDArray[np.uint8]:
    """RGB (H, W, 3) as displayed: an array as it is, a file as the service decodes it.

    Raises:
        OSError: the file cannot be read.
        ValueError: no picture, or an array of another type or shape.
    """
    if isinstance(picture, np.ndarray):
        return _checked(picture)
    from service.errors import RequestError  # noqa: PLC0415 - who draws nothing need not wait for the decoders
    from service.image_decoding import MAX_SIDE_PIXELS, decode_image  # noqa: PLC0415

    content, _ = picture_file(picture)
    try:
        return decode_image(content, MAX_SIDE_PIXELS**2, allow_tiff=True)
    except RequestError as error:
        raise ValueError(f"picture: {error}") from error


def _bytes(picture: object) -> bytes:
    if isinstance(picture, bytes | bytearray | memoryview):
        return bytes(picture)
    hint = "; numpy.asarray makes an array of it" if hasattr(picture, "__array_interface__") else ""
    raise ValueError(
        f"picture: expected bytes, a path or an RGB array uint8 (H, W, 3), found {type(picture).__name__}{hint}"
    )


def _png(image: NDArray[np.uint8]) -> bytes:
    import cv2  # noqa: PLC0415 - as above: files are sent without it

    encoded, png = cv2.imencode(".png", _checked(image)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, _FAST_PNG])
    assert encoded, "an array of bytes can be encoded"
    return png.tobytes()


def _checked(image: NDArray[Any]) -> NDArray[np.uint8]:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"picture: expected an RGB array uint8 (H, W, 3), found {image.dtype} {image.shape}")
    return image
