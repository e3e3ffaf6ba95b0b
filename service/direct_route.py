"""Routes that FastAPI describes and Starlette serves."""

from collections.abc import MutableMapping
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match, Route
from starlette.types import Scope


class DirectRoute(Route):
    """The endpoint of a FastAPI route, called with the request and nothing else."""

    def matches(self, scope: Scope) -> tuple[Match, MutableMapping[str, Any]]:
        """As its base says; and the route is in the scope, as FastAPI's are, for metrics and log."""
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self} if match is not Match.NONE else child_scope


def serve_directly(app: FastAPI, router: APIRouter) -> None:
    """Include a router whose endpoints take the request alone, without what FastAPI does for arguments.

    Resolving and validating no argument at all takes longer than reading the request's headers.
    """
    app.include_router(router)
    routes = [route for route in router.routes if isinstance(route, APIRoute)]
    app.router.routes[0:0] = [
        DirectRoute(route.path, route.endpoint, methods=sorted(route.methods or ()), include_in_schema=False)
        for route in routes
    ]
