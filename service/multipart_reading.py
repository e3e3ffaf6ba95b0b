"""A multipart/form-data body (RFC 7578) that has arrived whole, cut into its parts in a bounded number of steps.

The usual parser walks through delimiters byte by byte in Python, on the event loop: a body of 20 MB can keep it for
seconds. Here each part costs a few searches in C, there are at most as many parts as the caller takes, and file names
are looked at only for whether there is one.
"""

from typing import NamedTuple

from python_multipart.multipart import parse_options_header

from service.errors import BadRequest

_MOST_HEADER_BYTES = 4096
_MOST_BOUNDARY_BYTES = 70  # RFC 2046, section 5.1.1


class Part(NamedTuple):
    """One part; `is_file` if it has a file name, which is not kept."""

    name: str
    is_file: bool
    content: bytes


def split_multipart(content_type: str, body: bytes, max_parts: int) -> list[Part]:
    """The parts of a form, in order.

    Args:
        content_type: the whole header, with its boundary.
        body: the whole body.
        max_parts: the most parts.

    Raises:
        BadRequest: it is not multipart/form-data, is cut off, or has more parts.
    """
    boundary = _boundary(content_type)
    delimiter = b"\r\n--" + boundary
    first = delimiter[2:]  # the line break before it is missing where there is no preamble
    start = 0 if body.startswith(first) else body.find(delimiter)
    if start < 0:
        raise _broken("its first boundary is missing")
    position = body.index(first, start) + len(first)
    parts: list[Part] = []
    while not body.startswith(b"--", position):
        if len(parts) == max_parts:
            raise BadRequest(f"expected at most {max_parts} parts in the form, found more")
        position = _end_of_line(body, position)
        end = body.find(delimiter, position - 2)  # a part without content ends where its headers do
        if end < 0:
            raise _broken("its last boundary is missing")
        parts.append(_part(body, position, end))
        position = end + len(delimiter)
    return parts


def _boundary(content_type: str) -> bytes:
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 1 <= len(boundary) <= _MOST_BOUNDARY_BYTES:
        raise _broken(f"expected a boundary of 1 to {_MOST_BOUNDARY_BYTES} bytes, found {len(boundary)}")
    return boundary


def _end_of_line(body: bytes, position: int) -> int:
    """Where the line of a delimiter ends: nothing but some padding may follow it."""
    line_end = body.find(b"\r\n", position, position + _MOST_HEADER_BYTES)
    if line_end < 0 or body[position:line_end].strip(b" \t"):
        raise _broken("a boundary does not end its line")
    return line_end + 2


def _part(body: bytes, start: int, end: int) -> Part:
    headers_end = body.find(b"\r\n\r\n", start, min(end, start + _MOST_HEADER_BYTES))
    if headers_end < 0:
        raise _broken(f"a part has no end of its headers within {_MOST_HEADER_BYTES} bytes")
    for line in body[start:headers_end].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            options = parse_options_header(value)[1]
            if b"name" in options:
                is_file = b"filename" in options
                return Part(options[b"name"].decode("utf-8", "replace"), is_file, body[headers_end + 4 : end])
    raise _broken("a part has no name")


def _broken(what: str) -> BadRequest:
    return BadRequest(f"the body is not multipart/form-data: {what}")
