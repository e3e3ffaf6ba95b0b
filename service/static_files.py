"""Files that the service hands out as they are: read once, answered with an ETag and strict headers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".jpg": "image/jpeg",
        ".png": "image/png",
        ".txt": "text/plain; charset=utf-8",
    }
)

# Nothing but what this server itself sends, in no frame, under no other name.
_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Cache-Control": "no-cache",  # may be kept, but is asked for anew: 304 while it is the same
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
)


@dataclass(frozen=True)
class StaticFile:
    """A file in memory."""

    content: bytes
    media_type: str
    etag: str

    @classmethod
    def read(cls, path: Path) -> "StaticFile":
        """The file at a path whose suffix is one of `MEDIA_TYPES`; its ETag is the start of its SHA-256."""
        content = path.read_bytes()
        return cls(content, MEDIA_TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def read_folder(folder: Path) -> dict[str, StaticFile]:
    """Every file below a folder by its path from there, as `images/one.png`."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): StaticFile.read(path) for path in paths}


def answer_file(request: Request, file: StaticFile, content_security_policy: str, **headers: str) -> Response:
    """The file, or 304 where the client says that it has it (RFC 9110, section 13.1.2)."""
    every = {**_HEADERS, "Content-Security-Policy": content_security_policy, "ETag": file.etag, **headers}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if file.etag in known or known == ["*"]:
        return Response(status_code=304, headers=every)
    return Response(file.content, media_type=file.media_type, headers=every)
