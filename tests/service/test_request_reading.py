"""What clients send becomes pictures and boxes; whose mistake is whose."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from service.answer_options import AnswerOptions
from service.contract.crop_transform import Box
from service.errors import BadRequest, InvalidParameter, RequestError, UnsupportedMediaType
from service.request_reading import KeypointsInput, read_batch_input, read_keypoints_input

BOX = [1, 2, 3.5, 4]
MAX_IMAGES = 3
MAX_BOXES = 2


def request_of(body: bytes, content_type: str, query: str = "") -> Request:
    messages: list[Message] = [
        {"type": "http.request", "body": body[start : start + 65_536], "more_body": True}
        for start in range(0, len(body), 65_536)
    ]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Message:
        return messages.pop(0)

    headers = [(b"content-type", content_type.encode("latin-1"))] if content_type else []
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": query.encode()}
    return Request(scope, receive)


def read(request: Request) -> KeypointsInput:
    return asyncio.run(read_keypoints_input(request, MAX_BOXES))[0]


def read_batch(request: Request) -> list[KeypointsInput | RequestError]:
    return asyncio.run(read_batch_input(request, MAX_IMAGES, MAX_BOXES))[0]


def json_request(value: Any) -> Request:
    return request_of(json.dumps(value).encode(), "application/json")


def form_request(files: list[bytes], **fields: str) -> Request:
    parts: list[tuple[str, Any]] = [("file", ("x", content)) for content in files]
    request = httpx.Request("POST", "http://x", files=parts + [(name, (None, text)) for name, text in fields.items()])
    return request_of(request.read(), request.headers["content-type"])


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/x-anything", "IMAGE/PNG; q=1", "application/octet-stream"])
def test_the_type_of_a_raw_body_is_any_image(media_type: str) -> None:
    assert read(request_of(b"pixels", media_type, "boxes=1,2,3.5,4")) == KeypointsInput(b"pixels", [Box(*BOX)])


def test_a_batch_as_form_or_as_json_is_the_same() -> None:
    expected = [
        KeypointsInput(b"first", [Box(*BOX), Box(*BOX)]),
        KeypointsInput(b"second", []),
        KeypointsInput(b"third", []),
    ]
    form = form_request([b"first", b"second", b"third"], boxes=json.dumps([[BOX, BOX], None, []]))
    as_json = json_request(
        {
            "images": [
                {"image": base64_of(b"first"), "boxes": [BOX, BOX]},
                {"image": base64_of(b"second")},
                {"image": base64_of(b"third"), "boxes": []},
            ]
        }
    )
    assert read_batch(form) == read_batch(as_json) == expected
    without_boxes = [KeypointsInput(content, []) for content in (b"a", b"b")]
    assert read_batch(form_request([b"a", b"b"])) == without_boxes


def test_options_are_the_same_in_query_form_and_json() -> None:
    fields = {
        "model": "face68", "version": "1.0.0", "coordinates": "normalized", "format": "native", "heatmaps": "false",
    }  # fmt: skip
    raw = request_of(b"hi", "image/png", "&".join(f"{name}={value}" for name, value in fields.items()))
    form = form_request([b"hi"], **fields)
    as_json = json_request({"image": "aGk=", **fields})
    expected = AnswerOptions("face68", "1.0.0", "normalized", "native", heatmaps=False)
    for request in (raw, form, as_json):
        assert asyncio.run(read_keypoints_input(request, MAX_BOXES)) == (KeypointsInput(b"hi", []), expected)
    for request in (form_request([b"hi"], **fields), json_request({"images": [{"image": "aGk="}], **fields})):
        assert asyncio.run(read_batch_input(request, MAX_IMAGES, MAX_BOXES)) == ([KeypointsInput(b"hi", [])], expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": ""}, "model: expected a text of 1 to 128 characters, found ''"),
        ({"model": 7}, "model: expected a text"),
        ({"version": None}, "version: expected a text"),
        ({"version": "1" * 129}, "version: expected a text"),
        ({"coordinates": "metres"}, "coordinates: expected pixel or normalized, found 'metres'"),
        ({"format": "xml"}, "format: expected native or coco or compact, found 'xml'"),
    ],
)
def test_options_that_are_none(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        read(json_request({"image": "aGk=", **options}))
    with pytest.raises(InvalidParameter, match=words):
        read_batch(json_request({"images": [{"image": "aGk="}], **options}))


def test_an_option_has_one_place() -> None:
    with pytest.raises(InvalidParameter, match="format: expected beside the image in the body, found in the query"):
        read(request_of(b'{"image": "aGk="}', "application/json", "format=coco"))
    with pytest.raises(InvalidParameter, match="model: expected a text"):
        read(form_with_file_as("model"))
    with pytest.raises(InvalidParameter, match="each form field once"):
        read_batch(form_with_file_as("model", "model"))


def form_with_file_as(*names: str) -> Request:
    parts = [(name, ("x", b"hi")) for name in ("file", *names)]
    request = httpx.Request("POST", "http://x", files=parts)
    return request_of(request.read(), request.headers["content-type"])


WRONG_IMAGES: list[tuple[Any, type[RequestError], str]] = [
    ({"image": "?"}, InvalidParameter, "image: expected base64, found '\\?'"),
    ({"image": None}, InvalidParameter, "image: expected base64, found None"),
    ({"image": ""}, BadRequest, "found no bytes"),
    ({"image": "http://10.0.0.1/x.png"}, InvalidParameter, "URLs are not fetched"),
    ({"image": "file:///etc/passwd"}, InvalidParameter, "URLs are not fetched"),
    ({"image": "data:image/png;base64,aGk="}, InvalidParameter, "image: expected base64"),
    ({"image": "aGk=", "boxes": None}, InvalidParameter, "boxes: expected a list"),
    ({"image": "aGk=", "boxes": [[1, 2, 3]]}, InvalidParameter, r"boxes\[0\]: expected four numbers"),
    ({"image": "aGk=", "boxes": [BOX] * 3}, InvalidParameter, "at most 2, found 3"),
    ({"image": "aGk=", "name": "x"}, InvalidParameter, "found the member 'name'"),
    ({"picture": "aGk="}, InvalidParameter, "expected the member image"),
    ("aGk=", BadRequest, "expected a JSON object with image and boxes, found 'aGk='"),
]


@pytest.mark.parametrize(("image", "error", "words"), WRONG_IMAGES)
def test_a_wrong_image_fails_alone_in_its_place(image: Any, error: type[RequestError], words: str) -> None:
    with pytest.raises(error, match=words):
        read(json_request(image))
    good = {"image": "aGk=", "boxes": [BOX]}
    first, wrong, last = read_batch(json_request({"images": [good, image, good]}))
    assert first == last == KeypointsInput(b"hi", [Box(*BOX)])
    assert type(wrong) is error


def test_a_wrong_file_of_a_form_fails_alone() -> None:
    boxes = json.dumps([None, [[1, 2, 3, 0]], None])
    empty, box, good = read_batch(form_request([b"", b"b", b"c"], boxes=boxes))
    assert isinstance(empty, BadRequest)
    assert isinstance(box, InvalidParameter)
    assert good == KeypointsInput(b"c", [])


@pytest.mark.parametrize(
    ("request_of_test", "error", "words"),
    [
        (lambda: json_request({"images": []}), InvalidParameter, "images: expected 1 to 3 images, found 0"),
        (lambda: json_request({"images": [{}] * 4}), InvalidParameter, "found 4"),
        (lambda: json_request({"images": {}}), InvalidParameter, "images: expected a list"),
        (lambda: json_request({"images": [], "boxes": []}), InvalidParameter, "only images, model, version, .*'boxes'"),
        (lambda: json_request({"images": [float("nan")]}), BadRequest, "not JSON"),
        (lambda: json_request([]), BadRequest, r"JSON object with images, found \[\]"),
        (lambda: request_of(b'{"images": [], "images": []}', "application/json"), BadRequest, "stands twice"),
        (lambda: form_request([], boxes="[]"), InvalidParameter, "expected the form field file"),
        (lambda: form_request([b"a"] * 10), BadRequest, "at most 9 parts"),
        (lambda: form_request([b"a"] * 4), InvalidParameter, "file: expected 1 to 3 images, found 4"),
        (lambda: form_request([b"a", b"b"], boxes="[null]"), InvalidParameter, "for each of 2 files"),
        (lambda: form_request([b"a"], boxes="7"), InvalidParameter, "for each of 1 files, found 7"),
        (lambda: form_request([b"a"], boxes="1,2"), InvalidParameter, "boxes: expected JSON, found '1,2'"),
        (lambda: form_request([b"a"], other="1"), InvalidParameter, "found the form field 'other'"),
        (lambda: request_of(b"", "multipart/form-data"), BadRequest, "boundary"),
        (lambda: request_of(b"pixels", "image/png"), UnsupportedMediaType, "found image/png"),
        (lambda: request_of(b"pixels", ""), UnsupportedMediaType, "found none"),
        (lambda: request_of(b"{}", "application/json", "boxes=1,2,3,4"), InvalidParameter, "found in the query"),
    ],
)
def test_what_is_wrong_with_the_whole_request_fails_it(
    request_of_test: Callable[[], Request], error: type[RequestError], words: str
) -> None:
    with pytest.raises(error, match=words):
        read_batch(request_of_test())


@pytest.mark.parametrize(
    "boxes",
    [b"[" * 500 + b"]" * 500, b"[" * 50_000, b"[" + b"1," * 50_000 + b"1]", b"[[1,2,3," + b"9" * 400 + b"]]"],
)
def test_bombs_in_boxes_are_the_callers_mistake(boxes: bytes) -> None:
    body = b'{"image": "aGk=", "boxes": ' + boxes + b"}"
    with pytest.raises((BadRequest, InvalidParameter)) as raised:
        read(request_of(body, "application/json"))
    assert len(str(raised.value)) < 400


@settings(deadline=None)  # each example starts two threads
@given(
    body=st.binary(max_size=300) | st.text(max_size=300).map(str.encode),
    content_type=st.sampled_from(["application/json", "multipart/form-data; boundary=b", "multipart/form-data", "x/y"]),
)
def test_garbage_is_a_request_error_and_nothing_else(body: bytes, content_type: str) -> None:
    for reading in (read, read_batch):
        with pytest.raises(RequestError):
            reading(request_of(body, content_type))
