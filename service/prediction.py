"""One picture through the server's own pipeline, in this process."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from service.answer_encoding import encode_answer
from service.answer_options import AnswerOptions
from service.app import batch_limits, create_pipeline, create_threads
from service.contract.crop_transform import Box
from service.drawing import draw_instances
from service.engine import KeypointEngine
from service.errors import StartupError
from service.image_decoding import decode_image
from service.loaded_model import start_model
from service.metrics import Metrics
from service.pipeline import Estimate
from service.request_record import RequestRecord
from service.settings import Settings


class Prediction(NamedTuple):
    """The answer as the server would encode it, and as arrays."""

    answer: bytes
    estimate: Estimate


def predict(settings: Settings, engine: KeypointEngine, image: Path, boxes: Sequence[Box]) -> Prediction:
    """What the server answers for a picture.

    Raises:
        StartupError: the file cannot be read.
        RequestError: the picture or a box cannot be used.
    """
    try:
        image_bytes = image.read_bytes()
    except OSError as error:
        raise StartupError(f"{image} cannot be read ({error.strerror})") from error
    with create_threads(settings) as threads:
        model = start_model(engine, settings.model, batch_limits(settings), Metrics(), threads)
        try:
            pipeline = create_pipeline(settings, threads)
            estimate = asyncio.run(pipeline.estimate(model, image_bytes, boxes, RequestRecord("")))
        finally:
            model.close()
    return Prediction(encode_answer(engine.manifest, estimate, AnswerOptions()), estimate)


def write_drawing(
    image: Path, estimate: Estimate, skeleton: Sequence[tuple[int, int]], output: Path, settings: Settings
) -> None:
    """Write the picture with its keypoints; the format follows the suffix of `output`.

    Raises:
        StartupError: the file cannot be written, or its suffix is of no format.
    """
    drawn = draw_instances(
        decode_image(image.read_bytes(), settings.max_pixels, settings.allow_tiff), estimate.instances, skeleton
    )
    try:
        written, encoded = cv2.imencode(output.suffix, cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise StartupError(f"{output}: expected a name that ends in .png, .jpg or .webp") from error
    assert written, "an image that was decoded can be encoded"
    try:
        output.write_bytes(np.asarray(encoded).tobytes())
    except OSError as error:
        raise StartupError(f"{output} cannot be written ({error.strerror})") from error
