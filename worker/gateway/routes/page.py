"""The page, as it is: a few files, served from memory, by relative addresses."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Annotated, Final

from fastapi import APIRouter, Header, Response

router = APIRouter(include_in_schema=False)

_KINDS: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
FILES: Final = (
    "index.html", "style.css", "icon.svg", "main.js", "api.js", "dialogs.js", "dom.js", "stream.js", "tables.js",
)  # fmt: skip


@cache
def _content(name: str) -> tuple[bytes, str]:
    """The file, and a name for exactly this content."""
    read = (files("bulk_cancel.worker.gateway") / "page" / name).read_bytes()
    return read, f'"{hashlib.sha256(read).hexdigest()[:16]}"'


def _serve(name: str, known: str | None) -> Response:
    content, tag = _content(name)
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if known == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, _KINDS[name[name.rindex(".") :]])


def _add(path: str, name: str) -> None:
    async def serve(known: Annotated[str | None, Header(alias="If-None-Match")] = None) -> Response:
        return _serve(name, known)

    router.add_api_route(path, serve, name=name, methods=["GET", "HEAD"])


_add("/", "index.html")
for each in FILES[1:]:
    _add(f"/{each}", each)
