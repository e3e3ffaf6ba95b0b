"""The client for programs that run an event loop (asyncio)."""

import asyncio
import ssl
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.client.answer_reading import is_ready, read_answer, read_json
from service.client.answers import Answer
from service.client.connection_settings import USUAL_DEADLINE_MS, ConnectionSettings
from service.client.errors import ConnectionFailed, DeadlineExceeded, ServerOverloaded
from service.client.messages import MODELS, READY, Boxes, keypoints_message, model_message
from service.client.pictures import Picture
from service.client.retrying import RetryPolicy
from service.schemas import ModelDescription, ModelDetails, ModelList


class AsyncClient:
    """Asks one server; for one event loop, and any number of calls at once. Use it as `async with`, or `close` it.

    The arguments, and what each method does, are those of `Client`. A call that is cancelled closes its connection.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        deadline_ms: int = USUAL_DEADLINE_MS,
        retry: RetryPolicy | None = None,
        verify: ssl.SSLContext | bool = True,
        trust_env: bool = True,
    ) -> None:
        self._settings = ConnectionSettings(url, api_key, deadline_ms, retry or RetryPolicy(), verify, trust_env)
        self._exchanger = self._settings.exchanger()
        self._details: dict[tuple[str, str], ModelDetails] = {}

    async def __aenter__(self) -> Self:
        """Nothing to wait for: the first call connects."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._exchanger.close()

    async def keypoints(
        self,
        picture: Picture,
        boxes: Boxes | None = None,
        *,
        model: str | None = None,
        version: str | None = None,
        heatmaps: bool = False,
        deadline_ms: int | None = None,
    ) -> Answer:
        """See `Client.keypoints`; files are read and arrays encoded in a thread."""
        call = self._settings.call(deadline_ms)
        message = await asyncio.to_thread(keypoints_message, picture, boxes, model, version, heatmaps)
        return read_answer(await self._exchanger.exchange(message, call), message.boxes)

    async def models(self) -> list[ModelDescription]:
        """See `Client.models`."""
        return read_json(await self._exchanger.exchange(MODELS, self._settings.call(None)), ModelList).models

    async def model(self, name: str, version: str | None = None) -> ModelDetails:
        """See `Client.model`."""
        message = model_message(name, version)
        return read_json(await self._exchanger.exchange(message, self._settings.call(None)), ModelDetails)

    async def draw(self, answer: Answer, picture: Picture) -> NDArray[np.uint8]:
        """See `Client.draw`; it is drawn in a thread."""
        key = answer.model, answer.version
        if key not in self._details:
            self._details[key] = await self.model(*key)
        return await asyncio.to_thread(answer.draw, picture, self._details[key].skeleton)

    async def ready(self, *, deadline_ms: int | None = None) -> bool:
        """See `Client.ready`."""
        try:
            return is_ready(await self._exchanger.exchange(READY, self._settings.call(deadline_ms)))
        except (ConnectionFailed, DeadlineExceeded, ServerOverloaded):
            return False
