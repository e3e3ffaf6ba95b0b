"""From a body to an `Answer`, checked against the service's own schema."""

import base64
import binascii
import re
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from service.client.answers import Answer, Heatmaps, Instance
from service.client.calls import Exchange
from service.client.errors import UnexpectedAnswer
from service.contract.bundle_manifest import describe_problems
from service.schemas import HeatmapsAnswer, InstanceAnswer, KeypointsAnswer

Record = TypeVar("Record", bound=BaseModel)
Values = TypeVar("Values", bound=NDArray[Any])

_TIMING = re.compile(r"([\w-]+);dur=(\d+(?:\.\d+)?)")
_MOST_CHARACTERS = 300  # of what is wrong with a body: it may be wrong in each of its keypoints


def read_answer(exchange: Exchange, boxes: int | None) -> Answer:
    """The answer to a keypoints message.

    Raises:
        UnexpectedAnswer: it is of another form, or has not one object for each of the boxes.
    """
    answer = read_json(exchange, KeypointsAnswer)
    if len(answer.instances) != (1 if boxes is None else boxes):
        raise _unexpected(exchange, f"{1 if boxes is None else boxes} objects", str(len(answer.instances)))
    headers = exchange.headers
    return Answer(
        model=answer.model.name,
        version=answer.model.version,
        sha256=headers.get("x-model-sha256", ""),
        width=answer.image.width,
        height=answer.image.height,
        instances=tuple(_instance(one, exchange) for one in answer.instances),
        request_id=headers.get("x-request-id", exchange.sent.request_id),
        server_ms=MappingProxyType(
            {name: float(value) for name, value in _TIMING.findall(headers.get("server-timing", ""))}
        ),
        seconds=exchange.seconds,
        tries=exchange.sent.tries,
        _json=answer,
    )


def read_json(exchange: Exchange, form: type[Record]) -> Record:
    """A body as one of the service's schemas; members that a newer server adds are passed over.

    Raises:
        UnexpectedAnswer: it is of another form.
    """
    try:
        return form.model_validate_json(exchange.content, extra="ignore")
    except ValidationError as error:
        raise _unexpected(exchange, form.__name__, describe_problems(error)[:_MOST_CHARACTERS]) from error


def is_ready(exchange: Exchange) -> bool:
    """True for the answer of a server that is ready.

    Raises:
        UnexpectedAnswer: it is something else that answers any address.
    """
    if exchange.content != b"ready":
        raise _unexpected(exchange, "the text ready", repr(exchange.content[:40]))
    return True


def _instance(answer: InstanceAnswer, exchange: Exchange) -> Instance:
    rows = np.array([(point.x, point.y, point.score) for point in answer.keypoints], np.float64).reshape(-1, 3)
    return Instance(
        names=tuple(point.name for point in answer.keypoints),
        keypoints=_frozen(rows[:, :2].copy()),
        scores=_frozen(rows[:, 2].copy()),
        box=_frozen(np.array(answer.box, np.float64)),
        score=answer.score,
        heatmaps=None if answer.heatmaps is None else _heatmaps(answer.heatmaps, exchange),
    )


def _heatmaps(answer: HeatmapsAnswer, exchange: Exchange) -> Heatmaps:
    try:
        values = np.frombuffer(base64.b64decode(answer.data, validate=True), "<f2").reshape(answer.shape)
    except (binascii.Error, ValueError) as error:
        raise _unexpected(exchange, f"heatmaps of {answer.shape}", str(error)) from error
    return Heatmaps(_frozen(values.astype(np.float16)), _frozen(np.array(answer.to_image, np.float64)))


def _frozen(values: Values) -> Values:
    values.setflags(write=False)
    return values


def _unexpected(exchange: Exchange, expected: str, found: str) -> UnexpectedAnswer:
    sent = exchange.sent
    return UnexpectedAnswer(
        f"{sent.url}: expected {expected}, found {found} [request {sent.request_id}]", sent.request_id, sent.tries
    )
