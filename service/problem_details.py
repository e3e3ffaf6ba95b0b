"""Errors as HTTP answers: RFC 9457 problem details, for whatever goes wrong, and never a traceback."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from service.errors import PROBLEMS, RequestError
from service.metrics import Metrics

PROBLEM_MEDIA_TYPE = "application/problem+json"


def problem_response(slug: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer for one problem; status and title come from the table in `service.errors`."""
    problem = PROBLEMS[slug]
    body = {"type": slug, "title": problem.title, "status": problem.status, "detail": detail}
    return Response(orjson.dumps(body), problem.status, headers, PROBLEM_MEDIA_TYPE)


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
        },
    }


def answer_errors_with_problems(app: FastAPI, metrics: Metrics) -> None:
    """Register the handlers of our errors and of the framework's; `middleware.UnexpectedErrors` has the rest."""

    def request_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        metrics.rejected(error.slug)
        return problem_response(error.slug, str(error), error.headers)

    def framework_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        details = {404: f"there is no {request.url.path}", 405: f"{request.url.path} does not take {request.method}"}
        detail = details.get(error.status_code, error.detail)
        return problem_response(_slug_of_status(error.status_code), detail, error.headers)

    app.add_exception_handler(RequestError, request_error)
    app.add_exception_handler(HTTPException, framework_error)


def _slug_of_status(status: int) -> str:
    return next((slug for slug, problem in PROBLEMS.items() if problem.status == status), "internal")
