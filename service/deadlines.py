"""Answers that come in time, or not at all."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.disconnection import ClientDisconnectedError
from service.errors import DeadlineExceeded
from service.request_record import RequestRecord, deadline_seconds

_CLIENT_CLOSED_REQUEST: Final = 499  # nobody reads it; for metrics and log, by the name that nginx gave it


async def answer_in_time(
    request: Request, longest_seconds: float, answer: Callable[[float], Awaitable[Response]]
) -> Response:
    """What `answer` gives when told how long it may take, from the request's arrival; nothing if nobody waits.

    Raises:
        DeadlineExceeded: it takes longer.
        RequestError: whatever `answer` raises.
    """
    record: RequestRecord = request.state.record
    allowed = deadline_seconds(request.headers, longest_seconds)
    try:
        async with asyncio.timeout(allowed - record.elapsed):
            return await answer(allowed)
    except (ClientDisconnectedError, ClientDisconnect):  # while it was worked on, while the body came
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    except TimeoutError as error:
        raise DeadlineExceeded(f"no answer within {allowed:g} s") from error
