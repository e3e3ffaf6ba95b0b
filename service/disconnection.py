"""Work for a client that may hang up: what nobody waits for is not done."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

Result = TypeVar("Result")


class ClientDisconnectedError(Exception):
    """There is nobody left to answer."""


async def unless_disconnected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled as soon as the client hangs up; the request's body must have been read.

    Raises:
        ClientDisconnectedError: the client hung up first; its crops have left the queue.
    """
    working = asyncio.current_task()
    assert working is not None, "there is a task for each request"
    over = gone = False

    def hang_up(watched: asyncio.Task[None]) -> None:
        nonlocal gone
        if not over and not watched.cancelled():
            gone = True
            working.cancel()

    watching = asyncio.create_task(_disconnect(receive))
    watching.add_done_callback(hang_up)
    try:
        return await work
    except asyncio.CancelledError as error:
        if gone and working.uncancel() == 0:  # nobody else has cancelled it, such as a deadline
            raise ClientDisconnectedError from error
        raise
    finally:
        over = True
        watching.cancel()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
