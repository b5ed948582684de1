"""Assemble the HTTP app: routes, error answers, request metrics and access checks."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

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
from searchapp.server.guard import (
    MAX_LOGGED_PATH_CHARACTERS,
    AccessGuard,
    AccessRules,
    App,
)
from searchapp.server.request_log import RequestLog
from searchapp.server.request_models import UNKNOWN_FIELD_MESSAGE
from searchapp.server.routes import engine, images, library, page, process, search
from searchapp.server.service import Service
from searchapp.server.start_options import EngineOrigin, check_engine, read_keep_alive
from searchapp.server.threaded_calls import Starting

logger = logging.getLogger(__name__)
# Status requests do not postpone the stop of an idle process.
STATUS_PATHS = frozenset({"/api/resident", "/api/stop", "/healthz", "/metrics"})
# Commands send these requests, and need a resident process of their own version.
VERSION_CHECKED_PATHS = frozenset({"/api/search", "/api/embed", "/api/count"})
# The page is last, because its route /{name} matches /healthz and /metrics too.
ROUTERS = (
    search.router, engine.router, images.router, library.router, process.router, page.router,
)  # fmt: skip


class AsciiJsonResponse(JSONResponse):
    """JSON answer in ASCII: other characters are escaped.

    So an answer can contain file names that are not valid UTF-8.
    """

    def render(self, content: Any) -> bytes:
        """Return the JSON text of an answer."""
        return json.dumps(content, ensure_ascii=True, allow_nan=False).encode("ascii")


ERROR_RESPONSE = {"description": "reason of the error", "content": {"application/json": {
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
    engine: EngineOrigin = EngineOrigin(),  # noqa: B008 (frozen)
) -> App:
    """Create the ASGI app of a service.

    allow_urls: whether to fetch pictures from URLs for clients.
    request_stop: called when a command asks the process to stop, through the Unix socket.
    engine: where the process embeds; a command that asks for another engine is refused.
    """
    app = FastAPI(
        title="searchapp", version=__version__, docs_url=None, redoc_url=None,
        default_response_class=AsciiJsonResponse, responses=ERROR_RESPONSES,
    )  # fmt: skip
    app.state.shared = AppState(service, allow_urls, request_stop, engine)
    app.middleware("http")(_track_request)
    app.add_exception_handler(SearchAppError, _make_error_response)
    app.add_exception_handler(RequestValidationError, _make_invalid_response)
    app.add_exception_handler(HTTPException, _make_http_error_response)
    app.add_exception_handler(Exception, _make_unexpected_error_response)
    for router in ROUTERS:
        app.include_router(router)
    return RequestLog(AccessGuard(app, rules))


async def _track_request(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Answer a request and count it; refuse it if the process does not fit the command.

    A command needs a process of its own version, with the options that its user gave.
    Each request postpones the stop of the idle process, except a status request.
    """
    state = await get_state(request)
    client_version = request.headers.get("x-searchapp-version", __version__)
    if client_version != __version__ and request.url.path in VERSION_CHECKED_PATHS:
        logger.info(
            "Refused the request %s (409): another version of searchapp sent it", request.url.path
        )
        detail = (
            f"this resident process has version {__version__}, and the command has another. Run "
            "`searchapp stop`, and repeat the command."
        )
        return AsciiJsonResponse({"detail": detail}, 409)
    if request.scope["searchapp.local"]:
        try:
            check_engine(request.headers, state.engine)
            state.service.set_keep_alive(read_keep_alive(request.headers))
        except SearchAppError as error:
            # Not 409: the client would replace the process, which other commands may use.
            return AsciiJsonResponse(error_to_dict(error), 412)
    if request.url.path in STATUS_PATHS:
        response = await call_next(request)
    else:
        with state.service.track_request():
            response = await call_next(request)
    route = request.scope.get("route")
    path = getattr(route, "path", "other")
    state.metrics.requests.labels(path, str(response.status_code)).inc()
    return response


async def _make_error_response(request: Request, error: Exception) -> Response:
    """Return an error as JSON, with the HTTP status of its class."""
    assert isinstance(error, SearchAppError)  # the handler is registered for this class
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
    if status != 503:  # a starting engine is not an error
        path = request.url.path[:MAX_LOGGED_PATH_CHARACTERS]
        logger.info(
            "The request %s %r failed (%d): %s", request.method, path, status, type(error).__name__
        )
        # The message can contain the text of a query.
        logger.debug("Reason of the failed request: %s", error)
    return AsciiJsonResponse(error_to_dict(error), status, headers)


async def _make_invalid_response(request: Request, error: Exception) -> Response:
    """Return the invalid fields of a request as JSON, with status 422.

    FastAPI's own answer repeats the value of each field, which can be NaN, a text that no encoding
    can hold, or 64 MiB long.
    """
    assert isinstance(error, RequestValidationError)
    fields = [{key: field[key] for key in ("type", "loc", "msg")} for field in error.errors()]
    for field in fields:
        if field["type"] == "extra_forbidden":
            field["msg"] = UNKNOWN_FIELD_MESSAGE
    return AsciiJsonResponse({"detail": fields}, 422)


async def _make_http_error_response(request: Request, error: Exception) -> Response:
    """Return an error of the routing or of a route as JSON."""
    assert isinstance(error, HTTPException)
    return AsciiJsonResponse({"detail": error.detail}, error.status_code, error.headers)


async def _make_unexpected_error_response(request: Request, error: Exception) -> Response:
    """Return a fault of the server as JSON, with status 500; uvicorn logs its traceback.

    A client must be able to tell a fault of its request from the end of the process.
    """
    detail = (
        f"the server failed on this request ({type(error).__name__}). Its log has the reason; "
        "please report it."
    )
    return AsciiJsonResponse(error_to_dict(SearchAppError(detail)), 500)
