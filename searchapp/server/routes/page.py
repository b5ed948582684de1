"""Routes of the web page, and of the page that documents the API."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse

from searchapp.server.api_docs import render_page

WEB_FOLDER = Path(__file__).parents[1] / "web"
MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def get_api_docs(request: Request) -> Response:
    """Return the documentation of the API, a page without scripts."""
    return Response(render_page(request.app.openapi()), media_type="text/html")


@router.get("/")
@router.get("/{name}")
async def get_web_file(name: str = "index.html") -> Response:
    """Return a file of the web page."""
    file = WEB_FOLDER / name
    if file.parent != WEB_FOLDER or file.suffix not in MEDIA_TYPES or not file.is_file():
        raise HTTPException(404, "there is no such page; the pages are / and /docs")
    return FileResponse(
        file, media_type=MEDIA_TYPES[file.suffix], headers={"Cache-Control": "no-cache"}
    )
