"""Every error that the service raises on purpose, and the one table from its slug to the HTTP status."""
# ruff: noqa: N818 - the names are the slugs of the public interface

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple


class Problem(NamedTuple):
    """How one kind of error is answered over HTTP (RFC 9457)."""

    status: int
    title: str


PROBLEMS: Mapping[str, Problem] = MappingProxyType(
    {
        "bad-request": Problem(400, "The request cannot be read"),
        "unauthorized": Problem(401, "The request has no valid API key"),
        "forbidden": Problem(403, "The API key may not do this"),
        "not-found": Problem(404, "There is nothing at this address"),
        "method-not-allowed": Problem(405, "This address does not take this method"),
        "not-acceptable": Problem(406, "There is no answer of a type that is accepted"),
        "request-timeout": Problem(408, "The request came too slowly"),
        "conflict": Problem(409, "The change cannot be made"),
        "too-large": Problem(413, "The request is too large"),
        "unsupported-media-type": Problem(415, "The media type is not supported"),
        "unprocessable-image": Problem(422, "The image cannot be used"),
        "invalid-parameter": Problem(422, "A parameter is not valid"),
        "headers-too-large": Problem(431, "The headers are too large"),
        "unusable-bundle": Problem(422, "The bundle cannot be loaded"),
        "overloaded": Problem(429, "The service is overloaded"),
        "internal": Problem(500, "The service failed"),
        "not-ready": Problem(503, "The service is not ready"),
        "deadline-exceeded": Problem(504, "The deadline has passed"),
    }
)


class ServiceError(Exception):
    """The root. The message is one sentence for the person who can do something about it."""


class StartupError(ServiceError):
    """The process cannot start or go on: printed as one sentence, and the process ends with `exit_code`."""

    exit_code: ClassVar[int] = 1


class EngineDied(StartupError):
    """The process ends because its model has died: whoever started it should start it anew."""

    exit_code = 3


class InvalidSetting(StartupError):
    """A flag or an environment variable is not valid."""

    exit_code = 2


class RequestError(ServiceError):
    """A request that ends without an answer; the message becomes the `detail` of the problem."""

    slug: ClassVar[str]

    @property
    def reason(self) -> str:
        """Label of the rejection in the metrics: the slug, where an error does not know better."""
        return self.slug

    @property
    def headers(self) -> dict[str, str]:
        """Headers that the HTTP answer carries beside the problem."""
        return {}

    @property
    def members(self) -> dict[str, int]:
        """Members of the problem beside the standard ones."""
        return {}


class BadRequest(RequestError):
    """The body is not what its content type says."""

    slug = "bad-request"


class Unauthorized(RequestError):
    """No API key, or none that this server knows."""

    slug = "unauthorized"

    @property
    def headers(self) -> dict[str, str]:
        """The scheme that is expected (RFC 6750)."""
        return {"WWW-Authenticate": 'Bearer realm="focalpoint"'}


class Forbidden(RequestError):
    """The API key is known, and not for this."""

    slug = "forbidden"


class NotFound(RequestError):
    """A name that this server does not know."""

    slug = "not-found"


class NotAcceptable(RequestError):
    """The client accepts none of the media types that there are."""

    slug = "not-acceptable"


class Conflict(RequestError):
    """A change of the models that would leave requests without one, or that one process cannot make for all."""

    slug = "conflict"


class UnusableBundle(RequestError):
    """A bundle that is not whole, does not answer as at export, or does not run here; nothing has changed."""

    slug = "unusable-bundle"


class RequestTimeout(RequestError):
    """The body came more slowly than the least rate."""

    slug = "request-timeout"

    @property
    def headers(self) -> dict[str, str]:
        """What is left of the body is not worth waiting for."""
        return {"Connection": "close"}


class TooLarge(RequestError):
    """More bytes than the limit."""

    slug = "too-large"


class UnsupportedMediaType(RequestError):
    """A content type or an image format that the service does not take."""

    slug = "unsupported-media-type"


class UnprocessableImage(RequestError):
    """An image of a known format that is broken, or has more pixels than the limit."""

    slug = "unprocessable-image"


class InvalidParameter(RequestError):
    """A value that is not what the interface expects."""

    slug = "invalid-parameter"


OverloadReason = Literal["requests", "wait", "crops", "bytes", "key_rate"]


class Overloaded(RequestError):
    """No room: the caller may come back after `retry_after_seconds`.

    Args:
        detail: the sentence.
        retry_after_seconds: when there may be room again.
        limit: what is full: requests in flight, the predicted wait, the queue of crops, buffered bytes, a key's rate.
    """

    slug = "overloaded"

    def __init__(self, detail: str, retry_after_seconds: float, limit: OverloadReason) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
        self.limit = limit

    @property
    def reason(self) -> str:
        """`overloaded_` and the limit."""
        return f"{self.slug}_{self.limit}"

    @property
    def headers(self) -> dict[str, str]:
        """Retry-After counts whole seconds."""
        return {"Retry-After": str(max(1, math.ceil(self.retry_after_seconds)))}

    @property
    def members(self) -> dict[str, int]:
        """The same in milliseconds, which need not be rounded up to a second."""
        return {"retry_after_ms": max(1, math.ceil(1000 * self.retry_after_seconds))}


class InferenceFailed(RequestError):
    """The model failed on the batch that the item was in; logged once, where it happened."""

    slug = "internal"


class NotReady(RequestError):
    """The server starts, stops, or its model died."""

    slug = "not-ready"


class DeadlineExceeded(RequestError):
    """The answer took longer than the deadline."""

    slug = "deadline-exceeded"
