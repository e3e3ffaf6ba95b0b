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
        ClientDisconnectedError: the client hung up first.
    """
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_disconnect(receive))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await asyncio.wait((working,))  # when this returns, its crops have left the queue
            raise ClientDisconnectedError
        return working.result()
    finally:
        working.cancel()
        watching.cancel()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
