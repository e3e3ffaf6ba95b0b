"""A split drawn from the pictures themselves, for annotations that come in one piece."""

from collections.abc import Sequence
from hashlib import sha256

from model_export.data.keypoint_sample import KeypointSample
from model_export.errors import DataError
from service.contract.crop_transform import ImageHW3


def split_by_content(
    samples: Sequence[KeypointSample], validation_share: float
) -> tuple[list[KeypointSample], list[KeypointSample]]:
    """Training and validation samples; about `validation_share` of the pictures validate.

    A picture's side follows from its pixels alone. So the same picture, twice under two names, never stands on both
    sides; a set that grows keeps the sides of what it had; and neither order, names nor seed move anything. Pictures
    that merely look alike, such as neighbouring frames of a video, are different pictures: hold out whole videos
    (`validation`) to measure on new ones.

    Args:
        samples: each picture is opened.
        validation_share: between 0 and 1.

    Raises:
        DataError: a picture cannot be read, or one side is empty.
    """
    places = [_place(sample.read_image()) for sample in samples]
    training = [sample for sample, place in zip(samples, places, strict=True) if place >= validation_share]
    validation = [sample for sample, place in zip(samples, places, strict=True) if place < validation_share]
    if not training or not validation:
        raise DataError(
            f"data.validation_share {validation_share:g} puts {len(training)} samples on the side of training and "
            f"{len(validation)} on that of validation (of {len(set(places))} different pictures): expected some on both"
        )
    return training, validation


def _place(image: ImageHW3) -> float:
    """A number from 0 to 1 that follows from the pixels, evenly spread over pictures."""
    height, width = image.shape[:2]
    digest = sha256(f"{width} x {height}".encode() + image.tobytes()).digest()
    return float(int.from_bytes(digest[:8], "big") / 2**64)
