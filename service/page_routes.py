"""The page for people at `/`, and the files that it is made of.

It holds nothing but itself: whatever it shows it asks for as any other client does, with a key where keys are on.
"""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.errors import NotFound
from service.paths import PAGE_FILES_PATH, PAGE_PATH
from service.static_files import StaticFile, answer_file, read_folder

FOLDER: Final = Path(__file__).parent / "page"
_START: Final = "index.html"

# Trusted Types: the page never makes HTML of text, and the browser sees to it.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_PERMISSIONS: Final = "camera=(self), microphone=(), geolocation=()"


def read_page() -> dict[str, StaticFile]:
    """The files of the page by their names below `/page/`."""
    return read_folder(FOLDER)


def page_paths(files: dict[str, StaticFile]) -> frozenset[str]:
    """The addresses of the page, which ask for no key; none where there is no page."""
    if not files:
        return frozenset()
    return frozenset({PAGE_PATH, *(f"{PAGE_FILES_PATH}/{name}" for name in files)})


def page_routes(files: dict[str, StaticFile]) -> APIRouter:
    """`/` and `/page/...`; not in the OpenAPI document, which is for programs."""
    router = APIRouter(include_in_schema=False)

    def answer(request: Request, name: str) -> Response:
        return answer_file(request, files[name], _POLICY, **{"Permissions-Policy": _PERMISSIONS})

    @router.api_route(PAGE_PATH, methods=["GET", "HEAD"])
    async def page(request: Request) -> Response:
        return answer(request, _START)

    @router.api_route(f"{PAGE_FILES_PATH}/{{name:path}}", methods=["GET", "HEAD"])
    async def page_file(request: Request, name: str) -> Response:
        if name not in files or name == _START:
            raise NotFound(f"there is no {request.url.path}")
        return answer(request, name)

    return router
