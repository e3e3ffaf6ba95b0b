"""Three ways to send a picture, two to send several, read into one: images' bytes, their boxes, and the options."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from service.answer_options import OPTION_NAMES, AnswerOptions, parse_options
from service.box_parsing import parse_boxes, split_boxes
from service.contract.crop_transform import Box
from service.errors import BadRequest, InvalidParameter, RequestError, UnsupportedMediaType
from service.json_reading import JsonError, parse_json
from service.multipart_reading import Part, split_multipart
from service.quoting import quoted

_VALUES_PER_BOX = 20  # five are needed; so a little too much is told in terms of boxes, and a flood never gets parsed
_VALUES_BESIDE_BOXES = 1000
_LONGEST_OPTION = 1000  # bytes; what is longer is refused anyway


class KeypointsInput(NamedTuple):
    """What a request asks for; no boxes means the whole picture."""

    image_bytes: bytes
    boxes: list[Box]


async def read_keypoints_input(request: Request, max_boxes: int) -> tuple[KeypointsInput, AnswerOptions]:
    """Read the body by its content type.

    - `image/...` or `application/octet-stream`: the file itself, boxes in the query as `x,y,w,h;x,y,w,h`, and options
    - `multipart/form-data`: `file`, `boxes` as JSON, and options
    - `application/json`: `image` in base64, `boxes`, and options

    Raises:
        RequestError: another content type, a body that is not of its type, or a value that is not valid.
    """
    media_type = _media_type(request)
    if media_type.startswith("image/") or media_type == "application/octet-stream":
        options = parse_options(request.query_params)
        return _input(await request.body(), split_boxes(request.query_params.get("boxes", "")), max_boxes), options
    _refuse_parameters_in_query(request)
    if media_type == "multipart/form-data":
        return _one_of_form(await _form(request, 2 + len(OPTION_NAMES)), max_boxes)
    if media_type == "application/json":
        # A body of megabytes takes milliseconds to parse, which belong into a thread.
        return await run_in_threadpool(_one_of_json, await request.body(), max_boxes)
    raise UnsupportedMediaType(
        "expected Content-Type image/..., application/octet-stream, multipart/form-data or application/json, "
        f"found {media_type or 'none'}"
    )


async def read_batch_input(
    request: Request, max_images: int, max_boxes: int
) -> tuple[list[KeypointsInput | RequestError], AnswerOptions]:
    """Read a body with several pictures by its content type.

    - `multipart/form-data`: one `file` for each, and `boxes` as JSON: for each file a list of boxes, or null; options
    - `application/json`: `images`, a list of objects with `image` in base64, and `boxes`; options beside it

    Returns:
        for each picture, in order, its input or what is wrong with it; and the options of all.

    Raises:
        RequestError: what is wrong with the request as a whole: its type, its form, the number of pictures.
    """
    media_type = _media_type(request)
    _refuse_parameters_in_query(request)
    if media_type == "multipart/form-data":
        parts = await _form(request, max_images + 1 + len(OPTION_NAMES))
        images, options = await run_in_threadpool(_all_of_form, parts, max_images, max_boxes)
    elif media_type == "application/json":
        images, options = await run_in_threadpool(_all_of_json, await request.body(), max_images, max_boxes)
    else:
        raise UnsupportedMediaType(
            f"expected Content-Type multipart/form-data or application/json, found {media_type or 'none'}"
        )
    if options.heatmaps:
        raise InvalidParameter("heatmaps: expected in a request with one picture, found in one with several")
    return images, options


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _refuse_parameters_in_query(request: Request) -> None:
    for name in ("boxes", *OPTION_NAMES):
        if name in request.query_params:
            raise InvalidParameter(f"{name}: expected beside the image in the body, found in the query")


async def _form(request: Request, max_parts: int) -> list[Part]:
    return await run_in_threadpool(
        split_multipart, request.headers.get("content-type", ""), await request.body(), max_parts
    )


def _one_of_form(parts: list[Part], max_boxes: int) -> tuple[KeypointsInput, AnswerOptions]:
    _check_names("form field", [part.name for part in parts], "file", "boxes", *OPTION_NAMES)
    by_name = {part.name: part for part in parts}
    image = _input(_file(by_name["file"]), _boxes_of_form(by_name.get("boxes"), [], 1, max_boxes), max_boxes)
    return image, _options_of_form(by_name)


def _all_of_form(
    parts: list[Part], max_images: int, max_boxes: int
) -> tuple[list[KeypointsInput | RequestError], AnswerOptions]:
    files = [part for part in parts if part.name == "file"]
    others = [part for part in parts if part.name != "file"]
    _check_names("form field", [part.name for part in (*files[:1], *others)], "file", "boxes", *OPTION_NAMES)
    _check_count("file", len(files), max_images)
    by_name = {part.name: part for part in others}
    boxes = _boxes_of_form(by_name.get("boxes"), [None] * len(files), max_images, max_boxes)
    if not isinstance(boxes, list) or len(boxes) != len(files):
        raise InvalidParameter(f"boxes: expected a list or null for each of {len(files)} files, found {quoted(boxes)}")
    images = [_each(file, of_file, max_boxes) for file, of_file in zip(files, boxes, strict=True)]
    return images, _options_of_form(by_name)


def _options_of_form(by_name: dict[str, Part]) -> AnswerOptions:
    options = {name: part for name, part in by_name.items() if name in OPTION_NAMES}
    return parse_options({name: _option_of_form(part) for name, part in options.items()})


def _option_of_form(part: Part) -> str | bytes:
    """A file in place of a text stays bytes, which no option may be."""
    content = part.content[:_LONGEST_OPTION]
    return content if part.is_file else content.decode("utf-8", "replace")


def _each(file: Part, boxes: Any, max_boxes: int) -> KeypointsInput | RequestError:
    try:
        return _input(_file(file), [] if boxes is None else boxes, max_boxes)
    except RequestError as error:
        return error


def _file(part: Part) -> bytes:
    if not part.is_file:
        raise InvalidParameter("file: expected a file with a name, found text")
    return part.content


def _boxes_of_form(part: Part | None, default: Any, max_images: int, max_boxes: int) -> Any:
    if part is None:
        return default
    if part.is_file:
        raise InvalidParameter("boxes: expected JSON, found a file")
    try:
        return parse_json(part.content, _max_values(max_images, max_boxes))
    except JsonError as error:
        found = part.content[:100].decode("utf-8", "replace")
        raise InvalidParameter(f"boxes: expected JSON, found {quoted(found)} ({error})") from error


def _one_of_json(body: bytes, max_boxes: int) -> tuple[KeypointsInput, AnswerOptions]:
    fields = _json(body, 1, max_boxes)
    return _object(fields, max_boxes, OPTION_NAMES), parse_options(fields)


def _all_of_json(
    body: bytes, max_images: int, max_boxes: int
) -> tuple[list[KeypointsInput | RequestError], AnswerOptions]:
    fields = _json(body, max_images, max_boxes)
    if not isinstance(fields, dict):
        raise BadRequest(f"expected a JSON object with images, found {quoted(fields)}")
    _check_names("member", list(fields), "images", *OPTION_NAMES)
    images = fields["images"]
    if not isinstance(images, list):
        raise InvalidParameter(f"images: expected a list of objects with image and boxes, found {quoted(images)}")
    _check_count("images", len(images), max_images)

    def one(image: Any) -> KeypointsInput | RequestError:
        try:
            return _object(image, max_boxes)
        except RequestError as error:
            return error

    return [one(image) for image in images], parse_options(fields)


def _json(body: bytes, max_images: int, max_boxes: int) -> Any:
    try:
        return parse_json(body, _max_values(max_images, max_boxes))
    except JsonError as error:
        raise BadRequest(f"the body is not JSON: {error}") from error


def _max_values(max_images: int, max_boxes: int) -> int:
    return _VALUES_BESIDE_BOXES + _VALUES_PER_BOX * max_images * max_boxes


def _object(fields: Any, max_boxes: int, options: Sequence[str] = ()) -> KeypointsInput:
    if not isinstance(fields, dict):
        raise BadRequest(f"expected a JSON object with image and boxes, found {quoted(fields)}")
    _check_names("member", list(fields), "image", "boxes", *options)
    image = fields["image"]
    if isinstance(image, str) and "://" in image[:20]:
        raise InvalidParameter(f"image: expected the file in base64, found {quoted(image)}; URLs are not fetched")
    try:
        image_bytes = base64.b64decode(image, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise InvalidParameter(f"image: expected base64, found {quoted(image)} ({error})") from error
    return _input(image_bytes, fields.get("boxes", []), max_boxes)


def _input(image_bytes: bytes, boxes: Any, max_boxes: int) -> KeypointsInput:
    if not image_bytes:
        raise BadRequest("expected an image, found no bytes")
    return KeypointsInput(image_bytes, parse_boxes(boxes, max_boxes))


def _check_count(name: str, count: int, max_images: int) -> None:
    if not 1 <= count <= max_images:
        raise InvalidParameter(f"{name}: expected 1 to {max_images} images, found {count}")


def _check_names(kind: str, found: list[str], required: str, *optional: str) -> None:
    expected = ", ".join((required, *optional))
    if required not in found:
        raise InvalidParameter(f"expected the {kind} {required}, found {quoted(found)}")
    if len(set(found)) < len(found):
        raise InvalidParameter(f"expected each {kind} once, found {quoted(found)}")
    unknown = set(found) - {required, *optional}
    if unknown:
        raise InvalidParameter(f"expected only {expected}, found the {kind} {quoted(min(unknown))}")
