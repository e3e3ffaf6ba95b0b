"""One row a frame: the server's own answer in JSON, preceded by the file and the number of the frame.

{"file": "clip.mp4", "frame": 3, "model": {...}, "image": {"width": 640, "height": 480}, "instances": [...]}
{"file": "cut.jpg", "problem": "the JPEG image is cut off or broken"}
"""

from typing import Any, NamedTuple

import numpy as np
import orjson

from service.answer_encoding import AnsweringModel, encode_answer
from service.answer_options import AnswerOptions
from service.contract.crop_transform import Box
from service.pipeline import Estimate, Instance


class Row(NamedTuple):
    """What was found in a frame.

    Attributes:
        file: name of the source.
        frame: number in its video; None for a picture, and for what is wrong with a video as a whole.
        estimate: None where there is a fault.
        fault: why there is none.
    """

    file: str
    frame: int | None
    estimate: Estimate | None = None
    fault: str = ""

    @property
    def place(self) -> str:
        """The file and, in a video, the frame, for people."""
        return self.file if self.frame is None else f"{self.file}, frame {self.frame}"


def encode_row(model: AnsweringModel, row: Row) -> bytes:
    """A row as one line of JSON, with its end: pixels with three decimals, scores with four, as the server writes."""
    place: dict[str, Any] = {"file": row.file, **({} if row.frame is None else {"frame": row.frame})}
    if row.estimate is None:
        return orjson.dumps({**place, "problem": row.fault}) + b"\n"
    return orjson.dumps(place)[:-1] + b"," + encode_answer(model, row.estimate, AnswerOptions())[1:] + b"\n"


def decode_row(line: bytes) -> Row:
    """A row from its line; points are float64 (K, 2) in image pixels, scores float32 (K,)."""
    values = orjson.loads(line)
    file, frame = values["file"], values.get("frame")
    if "problem" in values:
        return Row(file, frame, fault=values["problem"])
    instances = [_instance(instance) for instance in values["instances"]]
    return Row(file, frame, Estimate(values["image"]["width"], values["image"]["height"], instances))


def _instance(values: dict[str, Any]) -> Instance:
    numbers_K3 = np.array([[keypoint["x"], keypoint["y"], keypoint["score"]] for keypoint in values["keypoints"]])
    return Instance(Box(*values["box"]), numbers_K3[:, :2], numbers_K3[:, 2].astype(np.float32))
