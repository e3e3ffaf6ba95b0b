"""From an answer that is no success to its exception."""

import json
from http import HTTPStatus
from typing import Any, Final

import httpx2

from service.client.calls import Sent
from service.client.errors import (
    ClientError,
    DeadlineExceeded,
    ProblemAnswered,
    RequestRefused,
    ServerFailed,
    ServerOverloaded,
    UnexpectedAnswer,
)
from service.client.retrying import retry_after_seconds

# 502 is what a proxy says while a server behind it is replaced. Not 500: what broke the server once would do so again.
RETRIED: Final = frozenset({429, 502, 503})

_OVERLOADED: Final = frozenset({429, 503})
_SHOWN_CHARACTERS = 200


def failure_of(response: httpx2.Response, sent: Sent) -> ClientError | None:
    """The exception of an answer that has been read; None for a success (2xx)."""
    status = response.status_code
    if response.is_success:
        return None
    if status < 400:
        where = response.headers.get("location", "nowhere")
        return UnexpectedAnswer(
            f"{sent.url}: expected an answer, found a redirection ({status}) to {where}", sent.request_id, sent.tries
        )
    problem = _problem(response)
    title, detail = str(problem.get("title") or _in_words(status)), str(problem.get("detail") or _begin_of(response))
    message = f"{sent.url} answered {status} ({title}){': ' if detail else ''}{detail} [request {sent.request_id}]"
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        return DeadlineExceeded(message, sent.request_id, sent.tries)
    return _kind(status)(
        message,
        sent.request_id,
        sent.tries,
        status=status,
        type=str(problem.get("type") or "about:blank"),
        title=title,
        detail=detail,
        retry_after_seconds=retry_after_seconds(response.headers, problem),
    )


def _kind(status: int) -> type[ProblemAnswered]:
    if status in _OVERLOADED:
        return ServerOverloaded
    return ServerFailed if status >= 500 else RequestRefused


def _problem(response: httpx2.Response) -> dict[str, Any]:
    """The members of the problem (RFC 9457); none where a proxy has answered in its own words."""
    try:
        problem = json.loads(response.content)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _begin_of(response: httpx2.Response) -> str:
    return " ".join(response.text[:_SHOWN_CHARACTERS].split())


def _in_words(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "an unknown status"
