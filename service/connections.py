"""Limits on connections, where there is no request yet that could be refused: their number, and the pace of headers."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
    b"retry-after: 1\r\nconnection: close\r\n\r\n%s"
)
_FULL_BODY = (
    b'{"type":"not-ready","title":"The service is not ready","status":503,"detail":"too many connections are open"}'
)


def connection_class(max_connections: int, slow_seconds: float) -> type[HttpToolsProtocol]:
    """uvicorn's protocol with limits.

    Args:
        max_connections: one more is answered 503 and closed.
        slow_seconds: how long the headers of a request may take, and how long an answer may wait for its client to
            read; then the connection is closed.
    """

    class LimitedConnection(HttpToolsProtocol):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._reading: asyncio.TimerHandle | None = None
            self._writing: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > max_connections:
                transport.write(_FULL % (len(_FULL_BODY), _FULL_BODY))
                transport.close()
                return
            self._reading = self._abort_later(self._reading)

        def connection_lost(self, exc: Exception | None) -> None:
            for timer in (self._reading, self._writing):
                if timer is not None:
                    timer.cancel()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            self._reading = self._abort_later(self._reading)
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            if self._reading is not None:
                self._reading.cancel()
            super().on_headers_complete()

        def pause_writing(self) -> None:
            self._writing = self._abort_later(self._writing)
            super().pause_writing()

        def resume_writing(self) -> None:
            if self._writing is not None:
                self._writing.cancel()
            super().resume_writing()

        def _abort_later(self, running: asyncio.TimerHandle | None) -> asyncio.TimerHandle:
            if running is not None:
                running.cancel()
            return self.loop.call_later(slow_seconds, self.transport.abort)

    return LimitedConnection
