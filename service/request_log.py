"""Around every request: its record, the headers that every answer carries, a count, and one line in the log.

Plain ASGI, outermost. Nothing of the request but its id, method and route is logged: a path, a query or a file name may
say who is in the picture.
"""

import logging

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.metrics import Metrics
from service.paths import OPERATION_PATHS, PAGE_FILES_PATH
from service.readiness import Readiness
from service.request_record import RequestRecord

_MODEL_HEADERS = (b"x-model-name", b"x-model-version", b"x-model-sha256")

# Machines ask for the first every few seconds; the others come by the dozen with one page.
_MANY = OPERATION_PATHS | {f"{PAGE_FILES_PATH}/{{name:path}}"}

_logger = logging.getLogger("focalpoint.requests")


class RequestLog:
    """Puts a `RequestRecord` into the state of each request and says afterwards what became of it.

    Args:
        app: the application behind it.
        metrics: counts answers by route template (never the path: a scanner would make a label of each) and status.
        readiness: while the server is stopping, every answer asks its client to open no further request here.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, readiness: Readiness) -> None:
        self._app = app
        self._metrics = metrics
        self._readiness = readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event stream."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = RequestRecord.of_request(Headers(scope=scope).get("x-request-id", ""))
        scope.setdefault("state", {})["record"] = record
        code = 500  # what the client gets where the application raises before it answers

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                self._add_headers(message["headers"], record)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.answered(route, code)
            for stage, seconds in record.stages.items():
                self._metrics.stage(stage, seconds)
            _log(scope["method"], route, code, record)

    def _add_headers(self, headers: list[tuple[bytes, bytes]], record: RequestRecord) -> None:
        """Add to headers none of which is one of these yet."""
        headers.append((b"x-request-id", record.request_id.encode("latin-1")))
        headers.append((b"server-timing", record.server_timing().encode("latin-1")))
        if record.batch_size:
            headers.append((b"x-batch-size", str(record.batch_size).encode("latin-1")))
        if record.model:
            for name, value in zip(_MODEL_HEADERS, record.model, strict=True):
                headers.append((name, value.encode("latin-1")))
        if self._readiness.stopping:
            MutableHeaders(raw=headers)["connection"] = "close"


def _log(method: str, route: str, code: int, record: RequestRecord) -> None:
    level = logging.DEBUG if route in _MANY else logging.INFO
    if not _logger.isEnabledFor(level):
        return
    fields: dict[str, object] = {
        "request_id": record.request_id,
        "method": method,
        "route": route,
        "code": code,
        "milliseconds": round(1000 * record.elapsed, 2),
        "stage_milliseconds": {stage: round(1000 * seconds, 2) for stage, seconds in record.stages.items()},
    }
    if record.model:
        fields["model"], fields["model_version"], _ = record.model
    if record.batch_size:
        fields["batch_size"] = record.batch_size
    if record.problem:
        fields["problem"] = record.problem
    _logger.log(level, "%s %s %d", method, route, code, extra=fields)
