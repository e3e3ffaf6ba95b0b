"""Endpoints that FastAPI describes and this serves: without routing, without what is done for arguments.

All of that together takes longer than reading a request's headers.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import RequestError
from service.problem_details import AnswerError


class DirectRoute(NamedTuple):
    """An endpoint that takes the request and nothing else; `path` is what metrics and log call it."""

    path: str
    endpoint: Callable[[Request], Awaitable[Response]]


class DirectRoutes:
    """Plain ASGI, in front of the application: requests for these routes go no further.

    Args:
        app: whatever has the others.
        routes: by method and path, which has no parameters.
        answer_error: what the application answers to an error.
    """

    def __init__(self, app: ASGIApp, routes: Mapping[tuple[str, str], DirectRoute], answer_error: AnswerError) -> None:
        self._app = app
        self._routes = routes
        self._answer_error = answer_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event stream."""
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive, send)
        try:
            response = await route.endpoint(request)
        except (RequestError, HTTPException) as error:
            response = self._answer_error(request, error)
        await response(scope, receive, send)


def serve_directly(app: FastAPI, router: APIRouter, answer_error: AnswerError) -> None:
    """Include a router, and serve its endpoints directly; each takes the request alone, and has no path parameters.

    Middleware that is added later is outside of this.
    """
    app.include_router(router)
    routes = {
        (method, route.path): DirectRoute(route.path, route.endpoint)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    app.add_middleware(DirectRoutes, routes=routes, answer_error=answer_error)
