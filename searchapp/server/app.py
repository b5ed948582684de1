"""Assemble the HTTP app: routes, the form of errors, request counts, and the guard."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from searchapp import __version__
from searchapp.errors import (
    LibraryError,
    PictureError,
    QueryError,
    SearchAppError,
    UnsupportedModality,
    error_to_dict,
)
from searchapp.server.app_state import AppState, get_state
from searchapp.server.guard import AccessGuard, AccessRules, App
from searchapp.server.request_log import RequestLog
from searchapp.server.routes import engine, images, library, page, process, search
from searchapp.server.service import Service
from searchapp.server.threaded_calls import Starting

UNCOUNTED_PATHS = frozenset(
    {"/api/resident", "/api/stop", "/healthz", "/metrics"}
)  # no work, no stay
VERSION_CHECKED_PATHS = frozenset({"/api/search", "/api/embed", "/api/count"})  # what commands ask
# The page comes last: its route /{name} would hide /healthz and /metrics.
ROUTERS = (
    search.router, engine.router, images.router, library.router, process.router, page.router,
)  # fmt: skip


class AsciiJsonResponse(JSONResponse):
    """JSON in ASCII: file names that are no valid UTF-8 survive it."""

    def render(self, content: Any) -> bytes:
        """Encode."""
        return json.dumps(content, ensure_ascii=True, allow_nan=False).encode("ascii")


ERROR_RESPONSE = {"description": "why not", "content": {"application/json": {
    "schema": {"type": "object", "properties": {"detail": {}}}}}}  # fmt: skip
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = dict.fromkeys(
    (400, 401, 403, 404, 409, 413, 421, 422, 500, 503), ERROR_RESPONSE
)


def create_app(
    service: Service,
    rules: AccessRules = AccessRules(),  # noqa: B008 (frozen)
    *,
    allow_urls: bool = False,
    request_stop: Callable[[], None] = lambda: None,
) -> App:
    """Make the app of a service; leave is called when it is asked to stop by its Unix socket."""
    app = FastAPI(
        title="searchapp", version=__version__, docs_url=None, redoc_url=None,
        default_response_class=AsciiJsonResponse, responses=ERROR_RESPONSES,
    )  # fmt: skip
    app.state.shared = AppState(service, allow_urls, request_stop)
    app.middleware("http")(_count_request)
    app.add_exception_handler(SearchAppError, _answer_error)
    for router in ROUTERS:
        app.include_router(router)
    return RequestLog(AccessGuard(app, rules))


async def _count_request(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Answer a request, note that the process is in use, and count it."""
    state = await get_state(request)
    client_version = request.headers.get("x-searchapp-version", __version__)
    if client_version != __version__ and request.url.path in VERSION_CHECKED_PATHS:
        return AsciiJsonResponse({"detail": f"this is version {__version__}"}, 409)
    if request.url.path in UNCOUNTED_PATHS:
        response = await call_next(request)
    else:
        with state.service.track_request():
            response = await call_next(request)
    route = request.scope.get("route")
    path = getattr(route, "path", "other")
    state.metrics.requests.labels(path, str(response.status_code)).inc()
    return response


async def _answer_error(request: Request, error: Exception) -> Response:
    """Answer with what went wrong, and the status that fits it."""
    assert isinstance(error, SearchAppError)  # what this handler was registered for
    headers = None
    match error:
        case Starting():
            status, headers = 503, {"Retry-After": "1"}
        case QueryError() | PictureError() | UnsupportedModality():
            status = 400
        case LibraryError():
            status = 404
        case _:
            status = 500
    return AsciiJsonResponse(error_to_dict(error), status, headers)
