"""One picture: drawn, or printed as the server would answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from service.answer_encoding import encode_answer
from service.answer_options import AnswerOptions
from service.contract.crop_transform import Box
from service.errors import StartupError
from service.pipeline import Estimate
from service.predict.drawings import draw_row, write_picture
from service.predict.lookers import LookingModel, OpenLooker
from service.predict.rows import Row


class Prediction(NamedTuple):
    """The answer as the server would encode it, as arrays, and whose it is."""

    answer: bytes
    estimate: Estimate
    model: LookingModel


async def predict_picture(
    open_looker: OpenLooker, image: Path, boxes: Sequence[Box], output: Path | None
) -> Prediction:
    """What the server answers for a picture, drawn on it if there is an output.

    Raises:
        StartupError: the file cannot be read, or the output cannot be written.
        RequestError: the picture or a box cannot be used.
    """
    try:
        image_bytes = image.read_bytes()
    except OSError as error:
        raise StartupError(f"{image} cannot be read ({error.strerror})") from error
    async with open_looker() as looker:
        estimate = await looker.look(image_bytes, boxes)
    if output is not None:
        drawn = draw_row(image_bytes, Row(image.as_posix(), None, estimate), looker.model.keypoints.skeleton)
        write_picture(output, drawn)
    return Prediction(encode_answer(looker.model, estimate, AnswerOptions()), estimate, looker.model)
