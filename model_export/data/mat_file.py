"""MATLAB files of the versions 5 to 7.2 (7.3 is HDF5): numbers, text, cells and structs.

Written after MathWorks' "MAT-File Format", because SciPy's reader ends the whole process on some damaged files (1.17:
a segmentation fault in `read_var_array`) where a sentence is due. Sparse arrays, complex numbers, objects and files
written on big-endian machines are refused.
"""

import math
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export.errors import DataError

# A numeric array squeezed, or a float where it has one element; text as str; a cell array as list; a struct array as
# list of dicts, even where it has one element. Lists are in MATLAB's column order.
MatValue = Any

_NUMBERS = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
_TEXTS = {2: "utf-8", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le", 18: "utf-32-le"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX_FLAG = 0x0800
_DEEPEST = 40


class _DamagedError(Exception):
    """Says where the bytes stop to make sense."""


def read_mat(path: Path, variable: str) -> NDArray[Any]:
    """A numeric variable of a file, squeezed.

    Raises:
        DataError: the file cannot be read, is no such file, or has no such variable.
    """
    value = _read_variable(path, variable)
    if isinstance(value, float | np.ndarray):
        return np.asarray(value)
    raise DataError(
        f"annotation file {path}: expected numbers in the variable {variable!r}, found text, cells or structs"
    )


def read_mat_structs(path: Path, variable: str) -> list[dict[str, MatValue]]:
    """A struct variable of a file, one dict for each element.

    Raises:
        DataError: as `read_mat`.
    """
    value = _read_variable(path, variable)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return value
    raise DataError(f"annotation file {path}: expected a struct in the variable {variable!r}")


def _read_variable(path: Path, variable: str) -> MatValue:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"annotation file {path} cannot be read: {error.strerror}") from error
    # The last two bytes of the header: "MI" as a number, so that they tell the byte order.
    if len(content) < 128 or content[126:128] != b"IM":
        raise DataError(f"annotation file {path} is not a MATLAB file of version 5 to 7.2")
    try:
        for kind, payload in _elements(memoryview(content)[128:]):
            matrix = _matrix_of(kind, payload)
            if matrix is not None and _name(matrix) == variable:
                return _value(matrix, 0)
    except (_DamagedError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"annotation file {path} is a damaged MATLAB file: {error}") from error
    raise DataError(f"annotation file {path}: expected a variable {variable!r}, found none")


def _elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each data element, one after the other."""
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise _DamagedError("it breaks off")
        kind, size = struct.unpack_from("<II", data, at)
        start = at + 8
        if kind >> 16:  # a small element: type, size and up to four bytes in one tag
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            end, following = start + size, at + 8
            if size > 4:
                raise _DamagedError(f"a small element claims {size} bytes")
        else:
            end = start + size
            following = end if kind == _COMPRESSED else end + -size % 8
        if end > len(data):
            raise _DamagedError("it breaks off")
        yield kind, data[start:end]
        at = following


def _matrix_of(kind: int, payload: memoryview) -> memoryview | None:
    if kind == _COMPRESSED:
        kind, payload = next(_elements(memoryview(zlib.decompress(payload))), (0, payload))
    return payload if kind == _MATRIX else None


def _name(matrix: memoryview) -> str:
    parts = _elements(matrix)
    for _ in range(2):  # flags, dimensions
        _next(parts)
    return bytes(_next(parts)[1]).decode("ascii", "replace")


def _next(parts: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    part = next(parts, None)
    if part is None:
        raise _DamagedError("an array breaks off")
    return part


def _value(matrix: memoryview, depth: int) -> MatValue:
    if not matrix:
        return np.zeros(0)
    if depth > _DEEPEST:
        raise _DamagedError("arrays are nested too deep")
    parts = _elements(matrix)
    flags = _numbers(_next(parts))
    shape = tuple(int(side) for side in _numbers(_next(parts)))
    _next(parts)  # the name
    if len(flags) < 1 or flags.dtype.kind == "f" or min(shape, default=-1) < 0:
        raise _DamagedError("an array has impossible flags or dimensions")
    kind, count = int(flags[0]) & 0xFF, math.prod(shape)
    if kind in _NUMERIC_CLASSES and not int(flags[0]) & _COMPLEX_FLAG:
        return _number_array(parts, shape, count)
    if kind not in _CONTENTS:
        raise _DamagedError(f"expected numbers, text, cells or structs, found an array of class {kind}")
    return _CONTENTS[kind](parts, shape, count, depth)


def _numbers(part: tuple[int, memoryview]) -> NDArray[Any]:
    kind, payload = part
    if kind not in _NUMBERS or len(payload) % int(_NUMBERS[kind][2]):
        raise _DamagedError(f"expected numbers, found {len(payload)} bytes of type {kind}")
    return np.frombuffer(payload, _NUMBERS[kind])


def _number_array(parts: Iterator[tuple[int, memoryview]], shape: tuple[int, ...], count: int) -> MatValue:
    numbers = _numbers(_next(parts)) if count else np.zeros(0)
    if len(numbers) != count:
        raise _DamagedError(f"expected {count} numbers, found {len(numbers)}")
    return float(numbers[0]) if count == 1 else numbers.reshape(shape, order="F").squeeze()


def _text(parts: Iterator[tuple[int, memoryview]], _shape: tuple[int, ...], count: int, _depth: int) -> str:
    kind, payload = _next(parts) if count else (16, memoryview(b""))
    if kind not in _TEXTS:
        raise _DamagedError(f"expected text, found bytes of type {kind}")
    return bytes(payload).decode(_TEXTS[kind])


def _cells(parts: Iterator[tuple[int, memoryview]], _shape: tuple[int, ...], count: int, depth: int) -> list[MatValue]:
    return [_inner(parts, depth) for _ in range(count)]


def _structs(
    parts: Iterator[tuple[int, memoryview]], _shape: tuple[int, ...], count: int, depth: int
) -> list[dict[str, MatValue]]:
    lengths = _numbers(_next(parts))
    names = bytes(_next(parts)[1])
    length = int(lengths[0]) if len(lengths) == 1 else 0
    if length < 1 or not names or len(names) % length:
        raise _DamagedError("a struct without field names")
    fields = [
        names[start : start + length].split(b"\0")[0].decode("ascii", "replace")
        for start in range(0, len(names), length)
    ]
    return [{field: _inner(parts, depth) for field in fields} for _ in range(count)]


def _inner(parts: Iterator[tuple[int, memoryview]], depth: int) -> MatValue:
    kind, payload = _next(parts)
    if kind != _MATRIX:
        raise _DamagedError(f"expected an array, found an element of type {kind}")
    return _value(payload, depth + 1)


_CONTENTS: dict[int, Callable[[Iterator[tuple[int, memoryview]], tuple[int, ...], int, int], MatValue]] = {
    _CELL: _cells,
    _STRUCT: _structs,
    _CHAR: _text,
}
