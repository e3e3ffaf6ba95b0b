"""The gate: who may ask, and whether there is room, decided by the headers alone, before any of the body is read.

Plain ASGI: under overload most requests end here, so that this has to cost next to nothing.
"""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service.admission import Admission
from service.api_keys import KeyRing
from service.errors import Forbidden, RequestError
from service.metrics import Metrics
from service.paths import REPOSITORY_PATH, brings_images
from service.problem_details import error_response
from service.request_record import deadline_seconds


class Gate:
    """Answers 401, 403 or 429 in place of the application.

    Args:
        app: the application behind it.
        admission: asked for requests that bring images.
        longest_seconds: the server's own deadline.
        keys: asked for everything but the open paths; None lets everybody in.
        open_paths: the addresses that ask for no key.
        metrics: counts the rejections.
    """

    def __init__(
        self,
        app: ASGIApp,
        admission: Admission,
        longest_seconds: float,
        keys: KeyRing | None,
        open_paths: Collection[str],
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._admission = admission
        self._longest_seconds = longest_seconds
        self._keys = keys
        self._open_paths = open_paths
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event stream."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except RequestError as error:
                scope["state"]["record"].problem = error.reason
                self._metrics.rejected(error.reason)
                await error_response(error, scope["path"])(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        path, headers = scope["path"], Headers(scope=scope)
        bucket = None
        if self._keys is not None and path not in self._open_paths:
            bucket = self._keys.identify(headers.get("authorization", ""))
            if path.startswith(REPOSITORY_PATH) and not bucket.admin:
                raise Forbidden(f"the API key {bucket.name} has no `admin = true` in the key file")
        scope["state"]["bucket"] = bucket
        if brings_images(path) and scope["method"] == "POST":
            self._admission.check(deadline_seconds(headers, self._longest_seconds))
            if bucket is not None:
                bucket.take(1)
