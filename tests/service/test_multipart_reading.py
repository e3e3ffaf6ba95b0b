"""Forms are cut right, and a hostile one costs no more than an honest one."""

import io
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BadRequest
from service.multipart_reading import Part, split_multipart

TYPE = "multipart/form-data; boundary=b"
HEADERS = b'Content-Disposition: form-data; name="file"; filename="../../portrait.png"\r\n'


def form(*parts: bytes, boundary: bytes = b"b") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


@given(
    files=st.lists(st.binary(max_size=200), max_size=4),
    fields=st.dictionaries(st.text("abc é", min_size=1), st.text(), max_size=3),
)
def test_what_a_client_writes_is_read(files: list[bytes], fields: dict[str, str]) -> None:
    sent: list[tuple[str, Any]] = [("file", ("x.png", io.BytesIO(content), "image/png")) for content in files]
    sent += [(name, (None, value)) for name, value in fields.items()]
    if not sent:
        return
    request = httpx.Request("POST", "http://x", files=sent)
    parts = split_multipart(request.headers["content-type"], request.read(), 7)
    assert parts == [
        *(Part("file", True, content) for content in files),
        *(Part(name, False, value.encode()) for name, value in fields.items()),
    ]


def test_file_names_are_not_kept() -> None:
    assert "portrait" not in repr(split_multipart(TYPE, form(HEADERS + b"\r\npixels"), 1))


@pytest.mark.parametrize(
    "body",
    [
        form(HEADERS + b"\r\npixels"),
        b"preamble\r\n" + form(HEADERS + b"\r\npixels") + b"epilogue",
        form(HEADERS + b"\r\npixels").replace(b"--b\r\n", b"--b \t\r\n"),
        form(b"content-type: a/b\r\n" + HEADERS.lower().replace(b": ", b":") + b"\r\npixels"),
    ],
)
def test_what_the_standard_allows(body: bytes) -> None:
    assert split_multipart(TYPE, body, 1) == [Part("file", True, b"pixels")]


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("multipart/form-data", form(), "boundary of 1 to 70 bytes, found 0"),
        ("multipart/form-data; boundary=" + 71 * "b", form(), "found 71"),
        (TYPE, b"", "its first boundary is missing"),
        (TYPE, b"x" * 100, "its first boundary is missing"),
        (TYPE, form(HEADERS + b"\r\npixels")[:-5], "its last boundary is missing"),
        (TYPE, form(HEADERS + b"\r\npixels")[:50], "its last boundary is missing"),
        (TYPE, form(HEADERS + b"pixels"), "no end of its headers"),
        (TYPE, form(b"x: " + 5000 * b"y" + b"\r\n" + HEADERS + b"\r\n"), "no end of its headers within 4096"),
        (TYPE, form(b"Content-Disposition: form-data\r\n\r\npixels"), "a part has no name"),
        (TYPE, form(b"\r\npixels"), "no end of its headers"),
        (TYPE, form(HEADERS + b"\r\npixels\r\n--bb\r\n"), "a boundary does not end its line"),
        (TYPE, form(*[HEADERS + b"\r\n"] * 3), "at most 2 parts"),
    ],
)
def test_what_is_no_form_is_refused(content_type: str, body: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        split_multipart(content_type, body, 2)


class CountingBytes(bytes):
    """Counts the calls, which cost time in Python, and the bytes that are copied."""

    calls = 0
    copied = 0

    def find(self, *arguments: Any) -> int:
        """Count a search."""
        self.calls += 1
        return super().find(*arguments)

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        self.calls += 1
        self.copied += len(part) if isinstance(part, bytes) else 1
        return part


@pytest.mark.parametrize(
    "body",
    [
        form(*[HEADERS + b"\r\nabc"] * 100_000),
        b"--b\r\n" + HEADERS + b"\r\n" + b"\r\n--bx" * 100_000,
        b"--b\r\n" * 100_000,
        b"-" * 2_000_000,
        b"\r\n" * 1_000_000,
        b"--b" + b" " * 2_000_000,
        b"--b\r\n" + b"a:" * 1_000_000,
    ],
)
def test_hostile_forms_are_refused_in_a_few_steps(body: bytes) -> None:
    counted = CountingBytes(body)
    with pytest.raises(BadRequest):
        split_multipart(TYPE, counted, 17)
    assert counted.calls <= 6 * 17
    assert counted.copied < 17 * 5000
