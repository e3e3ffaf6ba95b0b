"""Both clients behind one function, for what both must do."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from service.client import Answer, AsyncClient, Client, ClientError

PICTURE = b"any bytes: these servers do not look"

Ask = Callable[..., Answer]


class Watch(AbstractContextManager["Watch"]):
    """Seconds that a block took."""

    seconds: float = 0.0

    def __enter__(self) -> "Watch":
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began


def ask_sync(
    url: str, *arguments: Any, options: dict[str, Any] | None = None, watch: Watch | None = None, **call: Any
) -> Answer:
    with Client(url, trust_env=False, **(options or {})) as client, watch or Watch():
        return client.keypoints(*(arguments or (PICTURE,)), **call)


def ask_async(
    url: str, *arguments: Any, options: dict[str, Any] | None = None, watch: Watch | None = None, **call: Any
) -> Answer:
    async def main() -> Answer:
        async with AsyncClient(url, trust_env=False, **(options or {})) as client:
            with watch or Watch():
                return await client.keypoints(*(arguments or (PICTURE,)), **call)

    return asyncio.run(main())


both_clients = pytest.mark.parametrize("ask", [ask_sync, ask_async], ids=["sync", "async"])


def failure_of(ask: Ask, *arguments: Any, **named: Any) -> tuple[ClientError, float]:
    """How a call fails, and after how many seconds of the call itself."""
    watch = Watch()
    with pytest.raises(ClientError) as caught:
        ask(*arguments, watch=watch, **named)
    return caught.value, watch.seconds
