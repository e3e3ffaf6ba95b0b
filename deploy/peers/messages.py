"""What each peer is sent, whole requests as they go over the wire, and how its answers are read."""

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import orjson
from load_generator import address
from numpy.typing import NDArray

_BOUNDARY = "a-boundary-that-no-picture-holds"


class Asking(NamedTuple):
    """How a picture goes in and points come out.

    Attributes:
        path: of the URL.
        content_type: of the body.
        body: made of a JPEG.
        points: float64 (K, 2) in image pixels, of the answer's JSON.
    """

    path: str
    content_type: str
    body: Callable[[bytes], bytes]
    points: Callable[[Any], NDArray[np.float64]]


def request_of(asking: Asking, url: str, jpeg: bytes) -> bytes:
    """The request for one picture, at a server's URL."""
    host, port = address(url)
    body = asking.body(jpeg)
    head = (
        f"POST {asking.path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
        f"Content-Type: {asking.content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def _native_points(answer: Any) -> NDArray[np.float64]:
    return np.array([[point["x"], point["y"]] for point in answer["instances"][0]["keypoints"]], np.float64)


def _tensor_points(answer: Any) -> NDArray[np.float64]:
    [tensor] = [output for output in answer["outputs"] if output["name"] == "keypoints"]
    points_NK2 = np.array(tensor["data"], np.float64).reshape(tensor["shape"])
    return np.asarray(points_NK2[0])


def _form(field: str) -> Callable[[bytes], bytes]:
    disposition = f'Content-Disposition: form-data; name="{field}"; filename="picture.jpg"'

    def body(jpeg: bytes) -> bytes:
        head = f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n"
        return head.encode("ascii") + jpeg + f"\r\n--{_BOUNDARY}--\r\n".encode("ascii")

    return body


def _tensor_body(jpeg: bytes) -> bytes:
    data = base64.b64encode(jpeg).decode("ascii")
    tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "parameters": {"content_type": "base64"}}
    return orjson.dumps({"inputs": [{**tensor, "data": [data]}]})


def raw(path: str, content_type: str = "image/jpeg") -> Asking:
    """The picture is the body."""
    return Asking(path, content_type, lambda jpeg: jpeg, _native_points)


def form(path: str, field: str, *, listed: bool = False) -> Asking:
    """The picture is a file of a form; `listed` where the answer is a list of one."""
    content_type = f"multipart/form-data; boundary={_BOUNDARY}"
    return Asking(path, content_type, _form(field), (lambda a: _native_points(a[0])) if listed else _native_points)


def tensor(path: str) -> Asking:
    """The picture is a tensor of the Open Inference Protocol, in base64; so are, as numbers, the points."""
    return Asking(path, "application/json", _tensor_body, _tensor_points)
