"""Routes of the web page, and of the page that documents the API."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response

from searchapp.server.api_docs import load_swagger_files, render_page
from searchapp.server.app_state import StateDep
from searchapp.server.conditional_answers import REVALIDATE, is_current
from searchapp.server.web_files import INDEX_FILE, WebFile

IMMUTABLE = "private, max-age=31536000, immutable"

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def get_api_docs(state: StateDep) -> Response:
    """Return the documentation of the API."""
    return Response(render_page(state.web_files), media_type="text/html")


@router.get("/assets/{version}/{name}")
async def get_web_asset(request: Request, version: str, name: str, state: StateDep) -> Response:
    """Return a file of the web page; its address names its content, so it never changes."""
    for files in (state.web_files, load_swagger_files()):
        if files.version == version and (file := files.get_file(name)):
            return _make_response(request, file, IMMUTABLE)
    raise HTTPException(404, "this version of the page is gone; load the page / again")


@router.get("/")
@router.get("/{name}")
async def get_web_file(request: Request, state: StateDep, name: str = INDEX_FILE) -> Response:
    """Return a file of the web page."""
    file = state.web_files.get_file(name)
    if file is None:
        raise HTTPException(404, "there is no such page; the pages are / and /docs")
    return _make_response(request, file, REVALIDATE)


def _make_response(request: Request, file: WebFile, cache_control: str) -> Response:
    headers = {"Cache-Control": cache_control, "ETag": file.entity_tag}
    if is_current(file.entity_tag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
