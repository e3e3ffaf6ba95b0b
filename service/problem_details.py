"""Errors as HTTP answers: RFC 9457 problem details, for whatever goes wrong, and never a traceback."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.errors import PROBLEMS, RequestError
from service.metrics import Metrics
from service.paths import OPEN_INFERENCE_PATH, brings_images

PROBLEM_MEDIA_TYPE = "application/problem+json"


def problem_members(slug: str, detail: str, members: Mapping[str, int] = MappingProxyType({})) -> dict[str, Any]:
    """The members of one problem; status and title come from the table in `service.errors`."""
    problem = PROBLEMS[slug]
    return {"type": slug, "title": problem.title, "status": problem.status, "detail": detail, **members}


def problem_response(slug: str, detail: str, headers: Mapping[str, str] | None = None, path: str = "") -> Response:
    """The answer for one problem that is no `RequestError`."""
    return _response(problem_members(slug, detail), headers, path)


def error_response(error: RequestError, path: str) -> Response:
    """The answer for one of our errors to a request for this path."""
    return _response(problem_members(error.slug, str(error), error.members), error.headers, path)


def _response(members: dict[str, Any], headers: Mapping[str, str] | None, path: str) -> Response:
    if path.startswith(f"{OPEN_INFERENCE_PATH}/"):
        members["error"] = members["detail"]  # where the Open Inference Protocol has its sentence
    return Response(orjson.dumps(members), members["status"], headers, PROBLEM_MEDIA_TYPE)


def problem_schema(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of an endpoint that may answer these problems."""
    by_status: dict[int, list[str]] = {}
    for slug in slugs:
        by_status.setdefault(PROBLEMS[slug].status, []).append(slug)
    return {
        status: {
            "description": " or ".join(PROBLEMS[slug].title for slug in of_status),
            "content": {PROBLEM_MEDIA_TYPE: {"schema": _schema(status, of_status)}},
        }
        for status, of_status in by_status.items()
    }


def _schema(status: int, slugs: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "enum": slugs},
            "title": {"type": "string"},
            "status": {"type": "integer", "const": status},
            "detail": {"type": "string", "description": "what was expected and what was found"},
            **({"retry_after_ms": {"type": "integer", "minimum": 1}} if "overloaded" in slugs else {}),
        },
    }


AnswerError = Callable[[Request, Exception], Response]


def answer_errors_with_problems(app: FastAPI, metrics: Metrics) -> AnswerError:
    """Register what is answered to a `RequestError` and to the framework's `HTTPException`, and return it.

    `UnexpectedErrors` has the rest.
    """

    def answer(request: Request, error: Exception) -> Response:
        path = request.url.path
        if isinstance(error, RequestError):
            request.state.record.problem = error.reason
            if brings_images(path):  # a probe that fails is no image
                metrics.rejected(error.reason)
            return error_response(error, path)
        assert isinstance(error, HTTPException)
        details = {404: f"there is no {path}", 405: f"{path} does not take {request.method}"}
        detail = details.get(error.status_code, error.detail)
        return problem_response(_slug_of_status(error.status_code), detail, error.headers, path)

    app.add_exception_handler(RequestError, answer)
    app.add_exception_handler(HTTPException, answer)
    return answer


def _slug_of_status(status: int) -> str:
    return next((slug for slug, problem in PROBLEMS.items() if problem.status == status), "internal")
