"""Assemble the HTTP app: routes, error answers, request metrics and access checks."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from searchapp import __version__
from searchapp.errors import SearchAppError
from searchapp.server.app_state import AppState, get_state
from searchapp.server.compressed_answers import CompressedAnswers
from searchapp.server.conditional_answers import ConditionalJson
from searchapp.server.error_handlers import (
    PROBLEM_RESPONSES,
    add_error_handlers,
    make_error_response,
    make_problem_response,
)
from searchapp.server.guard import AccessGuard, AccessRules, App
from searchapp.server.request_forms import RequestForms
from searchapp.server.request_log import RequestLog
from searchapp.server.routes import (
    desktop,
    duplicates,
    engine,
    images,
    jobs,
    library,
    map,
    page,
    process,
    saved,
    search,
    searches,
)
from searchapp.server.service import Service
from searchapp.server.start_options import EngineOrigin, check_engine, read_keep_alive
from searchapp.server.unix_http import API_PREFIX

logger = logging.getLogger(__name__)
# Status requests do not postpone the stop of an idle process.
STATUS_PATHS = frozenset(
    {f"{API_PREFIX}/resident", f"{API_PREFIX}/stop", "/healthz", "/readyz", "/metrics"}
)
# Commands send these requests, and need a resident process of their own version.
VERSION_CHECKED_PATHS = frozenset(f"{API_PREFIX}/{name}" for name in ("search", "embed", "count"))
# The page is last, because its route /{name} matches /healthz and /metrics too.
ROUTERS = (
    search.router, searches.router, saved.router, duplicates.router, map.router, jobs.router,
    engine.router, images.router, library.router, desktop.router, process.router, page.router,
)  # fmt: skip


class AsciiJsonResponse(JSONResponse):
    """JSON answer in ASCII: other characters are escaped.

    So an answer can contain file names that are not valid UTF-8.
    """

    def render(self, content: Any) -> bytes:
        """Return the JSON text of an answer."""
        return json.dumps(content, ensure_ascii=True, allow_nan=False).encode("ascii")


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
        default_response_class=AsciiJsonResponse, responses=PROBLEM_RESPONSES,
    )  # fmt: skip
    app.state.shared = AppState(
        service, allow_urls, request_stop, engine, has_token=rules.token is not None
    )
    app.middleware("http")(_track_request)
    add_error_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    answering_app = RequestForms(CompressedAnswers(ConditionalJson(app)))
    return RequestLog(AccessGuard(answering_app, rules))


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
        return make_problem_response(409, detail)
    if request.scope["searchapp.local"]:
        try:
            check_engine(request.headers, state.engine)
            state.service.activity.set_keep_alive(read_keep_alive(request.headers))
        except SearchAppError as error:
            # Not 409: the client would replace the process, which other commands may use.
            return make_error_response(error, 412)
    if request.url.path in STATUS_PATHS:
        response = await call_next(request)
    else:
        with state.service.activity.track_request():
            response = await call_next(request)
    route = request.scope.get("route")
    path = getattr(route, "path", "other")
    state.metrics.requests.labels(path, str(response.status_code)).inc()
    return response
