"""Limits on connections, where there is no request yet that could be refused: number, size of headers, pace.

A client can hold a connection only while it gets on with a request, or for the keep-alive time between two. There is
one timer: it runs from the first byte of a request until its headers are complete, from an answer that went out before
the body was complete until the rest of the body is there, and while an answer waits for its client to read. Bytes in
between do not start it anew.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.errors import PROBLEMS
from service.problem_details import PROBLEM_MEDIA_TYPE, problem_response

ConnectionProblem = Literal["connections", "header_size", "slow_connection", "malformed"]

_FIRST_REQUEST_SECONDS = 0.5
_MOST_HEADER_BYTES = 65_536  # also of everything else that is no body: chunk sizes, trailers


def connection_class(
    max_connections: int,
    slow_seconds: float,
    refused: Callable[[ConnectionProblem], None],
    note_open: Callable[[int], None] = lambda _: None,
) -> type[HttpToolsProtocol]:
    """uvicorn's protocol with limits.

    Args:
        max_connections: one more is answered 503 and closed.
        slow_seconds: how long the timer runs before the connection is closed.
        refused: told of every connection that is closed for one of these reasons.
        note_open: told how many are open whenever that has changed.
    """

    class LimitedConnection(HttpToolsProtocol):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._timer: asyncio.TimerHandle | None = None
            self._body_is_complete = True
            self._bytes_beside_bodies = 0
            self._answering: RequestResponseCycle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            note_open(len(self.connections))
            if len(self.connections) > max_connections:
                self._refuse("connections", "not-ready", "too many connections are open")
            else:
                self._start_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            if self._answering is not None:
                # uvicorn tells only the newest of several requests on a connection that its client is gone.
                self._answering.disconnected = True
                self._answering.message_event.set()
            super().connection_lost(exc)
            note_open(len(self.connections))

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            if self.cycle is None or self.cycle.response_complete:
                self._start_timer()
            self._bytes_beside_bodies += len(data)
            super().data_received(data)
            if self._bytes_beside_bodies > _MOST_HEADER_BYTES and not self.transport.is_closing():
                detail = f"expected at most {_MOST_HEADER_BYTES} bytes of headers"
                self._refuse("header_size", "headers-too-large", detail)

        def send_400_response(self, msg: str) -> None:
            self._refuse("malformed", "bad-request", f"the request is not HTTP/1.1: {msg}")

        def on_headers_complete(self) -> None:
            self._stop_timer()
            self._bytes_beside_bodies = 0
            self._body_is_complete = False
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._bytes_beside_bodies = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._bytes_beside_bodies = 0
            self._body_is_complete = True
            super().on_message_complete()
            if self.cycle.response_complete:  # the rest of a body that nobody wanted: now it counts as idle
                self._stop_timer()
                self._start_timer()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if not self._body_is_complete:
                self._start_timer()

        def shutdown(self) -> None:
            if not self._was_asked():  # accepted a moment ago: its first request is on its way, and is still answered
                self.loop.call_later(_FIRST_REQUEST_SECONDS, self._close_unless_asked)
            else:
                super().shutdown()

        def _close_unless_asked(self) -> None:
            if not self._was_asked():
                self.transport.close()

        def _was_asked(self) -> bool:
            return self._answering is not None

        def pause_writing(self) -> None:
            self._start_timer()
            super().pause_writing()

        def resume_writing(self) -> None:
            self._stop_timer()
            super().resume_writing()

        def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
            self._answering = cycle
            super()._start_asgi_task(cycle, app)

        def _start_timer(self) -> None:
            if self._timer is None:
                self._timer = self.loop.call_later(slow_seconds, self._abort)

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _abort(self) -> None:
            if not self.transport.is_closing():
                refused("slow_connection")
            self.transport.abort()

        def _refuse(self, reason: ConnectionProblem, slug: str, detail: str) -> None:
            refused(reason)
            answered = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
            if not answered:  # in the middle of an answer another one would be taken for a part of it
                self.transport.write(_http_problem(slug, detail))
            self.transport.close()

    return LimitedConnection


def _http_problem(slug: str, detail: str) -> bytes:
    status, body = PROBLEMS[slug].status, bytes(problem_response(slug, detail).body)
    head = (
        f"HTTP/1.1 {status} {PROBLEMS[slug].title}\r\ncontent-type: {PROBLEM_MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
