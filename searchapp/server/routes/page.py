"""Routes of the web page, and of the page that documents the API."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

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
    # The name is compared, not used as a path: a name can be too long for the file system.
    file = next((file for file in WEB_FOLDER.iterdir() if file.name == name), None)
    if file is None or file.suffix not in MEDIA_TYPES:
        raise HTTPException(404, "there is no such page; the pages are / and /docs")
    return Response(
        file.read_bytes(),
        media_type=MEDIA_TYPES[file.suffix],
        headers={"Cache-Control": "no-cache"},
    )
