"""`/docs`: Swagger UI on the OpenAPI document, from the files that the package fastapi-offline brings.

FastAPI's own page takes them from a content delivery network, which an offline server has not and a strict one refuses.
"""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.errors import NotFound
from service.static_files import StaticFile, answer_file

FOLDER: Final = Path(__file__).parent / "documentation"
_PATH: Final = "/docs"
_START: Final = "index.html"
_SWAGGER: Final = ("swagger-ui-bundle.js", "swagger-ui.css")

# Swagger UI writes styles into its elements, and has icons as data.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def documentation_routes() -> APIRouter:
    """`/docs` and its files."""
    router = APIRouter(include_in_schema=False)
    swagger = Path(str(files("fastapi_offline"))) / "static"
    served = {name: StaticFile.read(swagger / name) for name in _SWAGGER}
    served |= {path.name: StaticFile.read(path) for path in sorted(FOLDER.iterdir())}

    @router.api_route(_PATH, methods=["GET", "HEAD"])
    async def documentation(request: Request) -> Response:
        return answer_file(request, served[_START], _POLICY)

    @router.api_route(f"{_PATH}/{{name}}", methods=["GET", "HEAD"])
    async def documentation_file(request: Request, name: str) -> Response:
        if name not in served or name == _START:
            raise NotFound(f"there is no {request.url.path}")
        return answer_file(request, served[name], _POLICY)

    return router
