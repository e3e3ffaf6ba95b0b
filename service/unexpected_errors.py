"""The boundary: what nobody meant is logged, and answered without a word of it; and so is the end of the drain."""

import asyncio
import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import Metrics
from service.problem_details import problem_response
from service.readiness import Readiness

_logger = logging.getLogger(__name__)


class UnexpectedErrors:
    """Plain ASGI. The framework's own handler raises the exception again, which closes the connection on the client."""

    def __init__(self, app: ASGIApp, metrics: Metrics, readiness: Readiness) -> None:
        self._app = app
        self._metrics = metrics
        self._readiness = readiness

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
        except asyncio.CancelledError:
            # The drain is over, and whoever is still being worked on is cut off: the connection closes after this.
            self._readiness.cut_off += 1
            scope["state"]["record"].problem = "not-ready"
            if not answering:
                detail = "the server has stopped before it could answer"
                answer = problem_response("not-ready", detail, {"Connection": "close"}, path=scope["path"])
                await answer(scope, receive, send)
        except Exception:
            record = scope["state"]["record"]
            _logger.exception("a request failed", extra={"request_id": record.request_id})
            record.problem = "internal"
            self._metrics.rejected("internal")
            if answering:
                raise  # half an answer is out: the connection has to be closed
            detail = "an unexpected error; the server's log says which"
            await problem_response("internal", detail, path=scope["path"])(scope, receive, send)
