"""The client for programs without an event loop."""

import os
import ssl
import threading
from concurrent.futures import CancelledError
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.client.answer_reading import is_ready, read_answer, read_json
from service.client.answers import Answer
from service.client.calls import Call, Exchange
from service.client.connection_settings import USUAL_DEADLINE_MS, ConnectionSettings
from service.client.errors import ConnectionFailed, DeadlineExceeded, ServerOverloaded
from service.client.messages import MODELS, READY, Boxes, Message, keypoints_message, model_message
from service.client.pictures import Picture
from service.client.process_connections import ProcessConnections
from service.client.retrying import RetryPolicy
from service.schemas import ModelDescription, ModelDetails, ModelList


class Client:
    """Asks one server; safe in several threads at once. Use it as `with`, or `close` it.

    The connections live in a thread of their own, where a deadline ends whatever is waited for. A process forked off
    opens connections of its own.

    Args:
        url: of the server: `http://HOST:PORT`, with a path if a proxy puts it behind one.
        api_key: where the server asks for one.
        deadline_ms: how long a call may take in all, tries and waits included; the server is told what is left of it.
        retry: when to send again; see `RetryPolicy`.
        verify: a TLS context; True for the certificates that the system trusts.
        trust_env: whether HTTP_PROXY, NO_PROXY and the like count.

    Raises:
        ValueError: one of them is not usable.
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
        self._lock = threading.Lock()
        self._connections: ProcessConnections | None = None
        self._closed = False
        self._details: dict[tuple[str, str], ModelDetails] = {}

    def __enter__(self) -> Self:
        """Nothing to wait for: the first call connects."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections; calls of other threads that still wait fail."""
        with self._lock:
            connections, self._connections, self._closed = self._connections, None, True
        if connections is not None and connections.leave():
            connections.thread.join()

    def keypoints(
        self,
        picture: Picture,
        boxes: Boxes | None = None,
        *,
        model: str | None = None,
        version: str | None = None,
        heatmaps: bool = False,
        deadline_ms: int | None = None,
    ) -> Answer:
        """Keypoints of every box in a picture; without boxes, of the one object that the whole picture shows.

        Args:
            picture: the bytes of an image file, the path of one, or an RGB array uint8 (H, W, 3), sent as PNG.
            boxes: n x 4 numbers `x, y, width, height` in image pixels, one or more; None for the whole picture.
            model, version: which model; None for the server's default, and for the newest.
            heatmaps: whether to ask for them.
            deadline_ms: in place of the client's.

        Raises:
            ClientError: there is no answer; see `service.client.errors`.
            OSError: the file cannot be read.
            ValueError: an argument that cannot be sent.
        """
        call = self._settings.call(deadline_ms)
        message = keypoints_message(picture, boxes, model, version, heatmaps)
        return read_answer(self._exchange(message, call), message.boxes)

    def models(self) -> list[ModelDescription]:
        """What is served: names, keypoints, skeletons, licences, accuracies; the default model's name is not marked.

        Raises:
            ClientError: there is no answer.
        """
        return read_json(self._exchange(MODELS, self._settings.call(None)), ModelList).models

    def model(self, name: str, version: str | None = None) -> ModelDetails:
        """One model, with its card and all its versions; None for the newest.

        Raises:
            ClientError: there is no answer; `RequestRefused` (404) if there is no such model.
        """
        return read_json(self._exchange(model_message(name, version), self._settings.call(None)), ModelDetails)

    def draw(self, answer: Answer, picture: Picture) -> NDArray[np.uint8]:
        """A copy of the picture, RGB uint8 (H, W, 3), with an answer drawn on it as the service draws it.

        The model's skeleton is asked for once.

        Raises:
            ClientError: the skeleton was not to be had.
            OSError, ValueError: the picture cannot be read, or is not the one that was answered.
        """
        key = answer.model, answer.version
        if key not in self._details:
            self._details[key] = self.model(*key)
        return answer.draw(picture, self._details[key].skeleton)

    def ready(self, *, deadline_ms: int | None = None) -> bool:
        """Whether the server would answer now, asked once: no if it says so, or cannot be reached in time.

        Raises:
            ClientError: something else answers at its address.
        """
        try:
            return is_ready(self._exchange(READY, self._settings.call(deadline_ms)))
        except (ConnectionFailed, DeadlineExceeded, ServerOverloaded):
            return False

    def _exchange(self, message: Message, call: Call) -> Exchange:
        connections = self._open()
        try:
            return connections.thread.run(connections.exchanger.exchange(message, call))
        except CancelledError as error:
            raise ConnectionFailed(
                f"{self._settings.url}: expected an answer, but the client was closed [request {call.request_id}]",
                call.request_id,
            ) from error

    def _open(self) -> ProcessConnections:
        with self._lock:
            if self._closed:
                raise RuntimeError("the client is closed")
            if self._connections is None or self._connections.process != os.getpid():
                if self._connections is not None:
                    self._connections.leave()
                self._connections = ProcessConnections(self, self._settings.exchanger())
            return self._connections
