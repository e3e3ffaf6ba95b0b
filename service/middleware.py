"""What is done around every request, as plain ASGI: a limit on its body, an answer to bugs, a count of answers."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BadRequest, TooLarge
from service.metrics import Metrics
from service.problem_details import problem_response

_logger = logging.getLogger(__name__)


class BodyLimit:
    """Refuses a body as soon as it is known to be too large: by what it declares, or while it streams in.

    It only wraps `receive`, so whoever reads the body gets the error, and an answer that reads none is not affected.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event stream."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = _content_length(scope)
        received = 0

        async def limited() -> Message:
            nonlocal received
            self._check(declared)
            message = await receive()
            received += len(message.get("body", b""))
            self._check(received)
            return message

        await self._app(scope, limited, send)

    def _check(self, size: int) -> None:
        if size > self._max_body_bytes:
            raise TooLarge(f"expected at most {self._max_body_bytes} bytes, found {size} or more")


def _content_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            if not value.isdigit():
                raise BadRequest("Content-Length is not a number")
            return int(value)
    return 0


class UnexpectedErrors:
    """The boundary: an exception that nobody meant is logged with its traceback, and answered without it.

    The framework's own handler raises the exception again, whereupon the server closes the connection on the client.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event stream."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answering = False

        async def noted(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            _logger.exception("%s %s failed", scope["method"], scope["path"])
            if answering:
                raise  # half an answer is out: the connection has to be closed
            await problem_response("internal", "an unexpected error; the server's log says which")(scope, receive, send)


class AnswerCount:
    """Counts answers by route template (never the path: a scanner would make a label of each) and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event stream."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code = 500  # what the client gets where the application raises before it answers

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._metrics.answered(getattr(scope.get("route"), "path", "unknown"), code)
