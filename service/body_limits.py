"""Limits on request bodies while they stream in: bytes of one, bytes of all together, and the pace of each.

Plain ASGI, ahead of whatever parses the body: it only wraps `receive`, so whoever reads the body gets the error, and an
answer that reads none is not affected.
"""

import asyncio
import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BadRequest, Overloaded, RequestTimeout, TooLarge

_GRACE_SECONDS = 5.0  # before the pace counts: a telephone that changes cells is no attack
_RETRY_SECONDS = 1.0


@dataclass(frozen=True)
class BodyLimits:
    """What the settings say.

    Attributes:
        body_bytes: the most of one request.
        buffered_bytes: the most of all requests that are being answered.
        bytes_per_second: the least pace of a body, on the average since its first five seconds.
    """

    body_bytes: int
    buffered_bytes: int
    bytes_per_second: int


class LimitBodies:
    """Refuses a body as soon as it is known to break a limit: by what it declares, or while it streams in."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits
        self._buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event stream."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = _content_length(scope)
        started = time.perf_counter()
        received = 0
        complete = False

        async def limited() -> Message:
            nonlocal received, complete
            self._check_size(declared)
            if complete:  # what may still come is only that the client hangs up, and that takes as long as it takes
                return await receive()
            due = started + _GRACE_SECONDS + received / self._limits.bytes_per_second
            try:
                async with asyncio.timeout(due - time.perf_counter()):
                    message = await receive()
            except TimeoutError as error:
                raise RequestTimeout(
                    f"expected at least {self._limits.bytes_per_second} bytes a second, found {received} bytes "
                    f"in {time.perf_counter() - started:.0f} s"
                ) from error
            size = len(message.get("body", b""))
            received += size
            self._buffered += size
            complete = not message.get("more_body", False)
            self._check_size(received)
            if self._buffered > self._limits.buffered_bytes:
                raise Overloaded(
                    f"the bodies of all requests may have {self._limits.buffered_bytes} bytes together",
                    _RETRY_SECONDS,
                    "bytes",
                )
            return message

        try:
            await self._app(scope, limited, send)
        finally:
            self._buffered -= received

    def _check_size(self, size: int) -> None:
        if size > self._limits.body_bytes:
            raise TooLarge(f"expected at most {self._limits.body_bytes} bytes, found {size} or more")


def _content_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            if not value.isdigit():
                raise BadRequest("Content-Length is not a number")
            return int(value)
    return 0
