"""Every way in which a call can fail, as one tree; the message says what was expected and what was found.

A wrong argument is no failure of the call: it is a `ValueError`, or an `OSError` where a file cannot be read.
"""
# ruff: noqa: N818 - named for what happened, as the service's own errors are


class ClientError(Exception):
    """The root.

    Attributes:
        request_id: under which the server has logged the call, if it came there; the same in every try.
        tries: how often the request was sent.
    """

    def __init__(self, message: str, request_id: str = "", tries: int = 0) -> None:
        super().__init__(message)
        self.request_id = request_id
        self.tries = tries


class ConnectionFailed(ClientError):
    """The server could not be reached, or the connection broke before the answer was whole, in every try."""


class DeadlineExceeded(ClientError):
    """There was no answer in time: the call's deadline has passed, or the server's or a proxy's own (504)."""


class UnexpectedAnswer(ClientError):
    """What answered is no Focalpoint server of this interface: no JSON, another form, a redirection."""


class ProblemAnswered(ClientError):
    """The server answered with an error.

    Attributes:
        status: of HTTP.
        type, title, detail: of the problem (RFC 9457). A proxy sends none: then `type` is `about:blank`, `title` the
            status in words and `detail` how the body begins.
        retry_after_seconds: when the server said to come back; None where it did not.
    """

    def __init__(
        self,
        message: str,
        request_id: str = "",
        tries: int = 0,
        *,
        status: int = 0,
        type: str = "about:blank",
        title: str = "",
        detail: str = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, request_id, tries)
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds


class RequestRefused(ProblemAnswered):
    """The request itself is not right (4xx but 429): sending it again would not help."""


class ServerOverloaded(ProblemAnswered):
    """The server has no room (429) or is not ready (503): the tries or the time to come back are used up."""


class ServerFailed(ProblemAnswered):
    """The server or a proxy before it failed (500, 502 and other 5xx)."""
