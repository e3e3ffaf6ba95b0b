"""Three ways to send the same thing, read into one: the image's bytes and the boxes."""

import base64
import binascii
from typing import Any, NamedTuple

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from service.contract.crop_transform import Box
from service.errors import BadRequest, InvalidParameter, UnsupportedMediaType


class KeypointsInput(NamedTuple):
    """What a request asks for; no boxes means the whole picture."""

    image_bytes: bytes
    boxes: list[Box]


async def read_keypoints_input(request: Request, max_boxes: int) -> KeypointsInput:
    """Read the body by its content type.

    - `image/...` or `application/octet-stream`: the file itself, boxes in the query as `x,y,w,h;x,y,w,h`
    - `multipart/form-data`: `file`, and `boxes` as JSON
    - `application/json`: `image` in base64, and `boxes`

    Raises:
        RequestError: another content type, a body that is not of its type, or a value that is not valid.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_raw = media_type.startswith("image/") or media_type == "application/octet-stream"
    if not is_raw and "boxes" in request.query_params:
        raise InvalidParameter("boxes: expected beside the image in the body, found in the query")
    if is_raw:
        image_bytes, boxes = await request.body(), split_boxes(request.query_params.get("boxes", ""))
    elif media_type == "multipart/form-data":
        image_bytes, boxes = await _read_multipart(request)
    elif media_type == "application/json":
        # A body of megabytes takes milliseconds to parse, which belong into a thread.
        image_bytes, boxes = await run_in_threadpool(_parse_json, await request.body())
    else:
        raise UnsupportedMediaType(
            "expected Content-Type image/..., application/octet-stream, multipart/form-data or application/json, "
            f"found {media_type or 'none'}"
        )
    if not image_bytes:
        raise BadRequest("expected an image, found no bytes")
    return KeypointsInput(image_bytes, parse_boxes(boxes, max_boxes))


def parse_boxes(boxes: Any, max_boxes: int) -> list[Box]:
    """Boxes from decoded JSON: a list of `[x, y, width, height]`.

    Raises:
        InvalidParameter: it is something else, too many, not finite, or without width or height.
    """
    if not isinstance(boxes, list):
        raise InvalidParameter(f"boxes: expected a list of [x, y, width, height], found {_shown(boxes)}")
    if len(boxes) > max_boxes:
        raise InvalidParameter(f"boxes: expected at most {max_boxes}, found {len(boxes)}")
    return [_parse_box(index, box) for index, box in enumerate(boxes)]


def _parse_box(index: int, box: Any) -> Box:
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(number) for number in box):
        raise InvalidParameter(f"boxes[{index}]: expected four numbers x, y, width, height, found {_shown(box)}")
    try:
        return Box(*map(float, box))
    except (ValueError, OverflowError) as error:
        raise InvalidParameter(f"boxes[{index}]: {error}") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def split_boxes(text: str) -> list[list[float | str]]:
    """`x,y,w,h;x,y,w,h` as lists; what is no number stays text, for `parse_boxes` to refuse."""
    return [[_number_or_text(number) for number in box.split(",")] for box in text.split(";") if box.strip()]


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


class _InMemoryParser(MultiPartParser):
    """Keeps files in memory: the body's size is limited already, and a read-only container has nowhere to spool to."""

    spool_max_size = 2**40


async def _read_multipart(request: Request) -> tuple[bytes, Any]:
    try:
        form = await _InMemoryParser(request.headers, request.stream(), max_files=2, max_fields=2).parse()
    except (MultiPartException, KeyError) as error:
        raise BadRequest(f"the body is not multipart/form-data: {error or 'no boundary'}") from error
    try:
        _check_names("form field", [name for name, _ in form.multi_items()], required="file")
        file, boxes = form["file"], form.get("boxes", "[]")
        if not isinstance(file, UploadFile):
            raise InvalidParameter("file: expected a file with a name, found text")
        if not isinstance(boxes, str):
            raise InvalidParameter("boxes: expected JSON, found a file")
        return await file.read(), _parse_json_value("boxes", boxes)
    finally:
        await form.close()


def _parse_json_value(name: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidParameter(f"{name}: expected JSON, found {_shown(text)} ({error})") from error


def _parse_json(body: bytes) -> tuple[bytes, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise BadRequest(f"expected a JSON object with image and boxes, found {_shown(fields)}")
    _check_names("member", list(fields), required="image")
    try:
        image_bytes = base64.b64decode(fields["image"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise InvalidParameter(f"image: expected base64, found {_shown(fields['image'])} ({error})") from error
    return image_bytes, fields.get("boxes", [])


def _check_names(kind: str, found: list[str], *, required: str) -> None:
    if required not in found:
        raise InvalidParameter(f"expected the {kind} {required}, found {_shown(found)}")
    if len(set(found)) < len(found):
        raise InvalidParameter(f"expected each {kind} once, found {_shown(found)}")
    unknown = set(found) - {required, "boxes"}
    if unknown:
        raise InvalidParameter(f"expected only {required} and boxes, found the {kind} {_shown(sorted(unknown)[0])}")
