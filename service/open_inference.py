"""The messages of the Open Inference Protocol, version 2, over REST, with its extension for binary tensors.

A message is JSON; tensors may follow it as bytes, in the order of their entries, each with `binary_data_size`. The
header `Inference-Header-Content-Length` then says where the JSON ends. Numbers are little-endian; an element of a BYTES
tensor is its length in four bytes and then itself. (KServe's and Triton's documents of the protocol.)
"""

import base64
import binascii
import math
import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from service.errors import BadRequest, InvalidParameter
from service.json_reading import JsonError, parse_json
from service.quoting import quoted

HEADER_LENGTH: Final = "Inference-Header-Content-Length"
DATATYPES: Final[Mapping[str, str]] = {"UINT8": "|u1", "FP32": "<f4"}
_MOST_VALUES = 1_000_000  # in the JSON; tensors of more come as bytes
_MOST_TENSORS = 16
_MOST_DIMENSIONS = 8

Values = NDArray[Any] | list[bytes]


class InferenceRequest(NamedTuple):
    """A request to `infer`.

    Attributes:
        id: to be sent back; empty if there is none.
        inputs: by name: an array, or the elements of a BYTES tensor of one dimension.
        outputs: names of those that are wanted, and whether as bytes; None for all.
        binary: whether outputs come as bytes where they say nothing of it.
    """

    id: str
    inputs: dict[str, Values]
    outputs: dict[str, bool] | None
    binary: bool


def parse_inference(body: bytes, header_length: str | None) -> InferenceRequest:
    """Read a request.

    Args:
        body: the whole body.
        header_length: the header of that name, if it came.

    Raises:
        BadRequest: it is no such message.
        InvalidParameter: a tensor is not what it says.
    """
    text, rest = _split(body, header_length)
    try:
        message = parse_json(text, _MOST_VALUES)
    except JsonError as error:
        raise BadRequest(f"the message is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise BadRequest(f"expected a JSON object with inputs, found {quoted(message)}")
    inputs: dict[str, Values] = {}
    for entry in _entries(message, "inputs"):
        values, rest = _tensor(entry, rest)
        if entry["name"] in inputs:
            raise InvalidParameter(f"inputs: expected each name once, found {quoted(entry['name'])} twice")
        inputs[entry["name"]] = values
    if rest:
        raise BadRequest(f"expected the bytes of the inputs, found {len(rest)} more")
    binary = _parameters(message).get("binary_data_output", False) is True
    outputs = None
    if message.get("outputs"):
        wanted = _entries(message, "outputs")
        outputs = {entry["name"]: _parameters(entry).get("binary_data", binary) is True for entry in wanted}
    identifier = message.get("id", "")
    if not isinstance(identifier, str):
        raise InvalidParameter(f"id: expected a text, found {quoted(identifier)}")
    return InferenceRequest(identifier, inputs, outputs, binary)


def encode_inference(
    request: InferenceRequest, name: str, version: str, outputs: Mapping[str, NDArray[np.float32]]
) -> tuple[bytes, int | None]:
    """The answer with those of the outputs (float32) that are wanted, and the length of its JSON if bytes follow it.

    Raises:
        InvalidParameter: an output is wanted that there is not.
    """
    wanted = request.outputs if request.outputs is not None else dict.fromkeys(outputs, request.binary)
    entries, tail = [], []
    for output, binary in wanted.items():
        if output not in outputs:
            raise InvalidParameter(f"outputs: expected {' or '.join(outputs)}, found {quoted(output)}")
        values = outputs[output]
        entry: dict[str, Any] = {"name": output, "datatype": "FP32", "shape": values.shape}
        if binary:
            tail.append(values.astype("<f4").tobytes())
            entry["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            entry["data"] = values.ravel().tolist()
        entries.append(entry)
    message: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": entries}
    if request.id:
        message["id"] = request.id
    text = orjson.dumps(message)
    return b"".join([text, *tail]), len(text) if tail else None


def _split(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    if header_length is None:
        return body, memoryview(b"")
    length = int(header_length) if header_length.isascii() and header_length.isdigit() else -1
    if not 0 < length <= len(body):
        raise BadRequest(f"{HEADER_LENGTH}: expected 1 to {len(body)}, found {quoted(header_length)}")
    return body[:length], memoryview(body)[length:]


def _entries(message: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = message.get(name)
    if not isinstance(entries, list) or not 1 <= len(entries) <= _MOST_TENSORS:
        raise BadRequest(f"{name}: expected a list of 1 to {_MOST_TENSORS} tensors, found {quoted(entries)}")
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise BadRequest(f"{name}: expected objects with a name, found {quoted(entry)}")
    return entries


def _parameters(entry: dict[str, Any]) -> dict[str, Any]:
    parameters = entry.get("parameters", {})
    if not isinstance(parameters, dict):
        raise BadRequest(f"parameters: expected an object, found {quoted(parameters)}")
    return parameters


def _tensor(entry: dict[str, Any], rest: memoryview) -> tuple[Values, memoryview]:
    """The values of an entry, and what of the bytes is left behind it."""
    name, datatype, shape = entry["name"], entry.get("datatype"), entry.get("shape")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS or not all(map(_is_size, shape)):
        raise InvalidParameter(f"{name}: expected a shape of up to {_MOST_DIMENSIONS} numbers, found {quoted(shape)}")
    if not isinstance(datatype, str) or (datatype != "BYTES" and datatype not in DATATYPES):
        raise InvalidParameter(f"{name}: expected datatype BYTES or {' or '.join(DATATYPES)}, found {quoted(datatype)}")
    size = _parameters(entry).get("binary_data_size")
    if size is None:
        return _of_json(name, datatype, shape, entry.get("data")), rest
    if not isinstance(size, int) or not 0 <= size <= len(rest):
        raise BadRequest(f"{name}: expected binary_data_size up to {len(rest)}, found {quoted(size)}")
    taken, rest = rest[:size], rest[size:]
    if datatype == "BYTES":
        return _counted(name, shape, _elements(name, taken)), rest
    if math.prod(shape) * np.dtype(DATATYPES[datatype]).itemsize != size:
        raise InvalidParameter(f"{name}: expected {size} bytes for {datatype} of shape {quoted(shape)}")
    return np.frombuffer(taken, DATATYPES[datatype]).reshape(shape), rest


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and value >= 0


def _of_json(name: str, datatype: str, shape: list[int], data: Any) -> Values:
    if not isinstance(data, list):
        raise InvalidParameter(f"{name}: expected data, or binary_data_size and bytes, found {quoted(data)}")
    if datatype == "BYTES":
        try:
            return _counted(name, shape, [base64.b64decode(element, validate=True) for element in data])
        except (binascii.Error, TypeError, ValueError) as error:
            raise InvalidParameter(f"{name}: expected files in base64, found {quoted(data)} ({error})") from error
    try:
        return np.array(data, DATATYPES[datatype]).reshape(shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidParameter(f"{name}: expected {datatype} of shape {quoted(shape)} ({error})") from error


def _elements(name: str, taken: memoryview) -> list[bytes]:
    elements, position = [], 0
    while position < len(taken):
        if position + 4 > len(taken):
            raise InvalidParameter(f"{name}: its last element is cut off")
        (length,) = struct.unpack_from("<I", taken, position)
        position += 4 + length
        if position > len(taken):
            raise InvalidParameter(f"{name}: its last element is cut off")
        elements.append(bytes(taken[position - length : position]))
        if len(elements) > _MOST_VALUES:
            raise InvalidParameter(f"{name}: expected at most {_MOST_VALUES} elements")
    return elements


def _counted(name: str, shape: list[int], elements: list[bytes]) -> list[bytes]:
    if math.prod(shape) != len(elements):
        raise InvalidParameter(f"{name}: expected elements for the shape {shape}, found {len(elements)}")
    return elements
