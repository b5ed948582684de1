"""Turn exceptions of the HTTP API into answers: application/problem+json with a status."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from searchapp.errors import (
    FolderError,
    LibraryError,
    PictureError,
    QueryError,
    ReadOnlyError,
    SearchAppError,
    UnsupportedModality,
    error_to_dict,
)
from searchapp.server.background_jobs import TooManyJobsError
from searchapp.server.guard import MAX_LOGGED_PATH_CHARACTERS
from searchapp.server.problems import (
    PROBLEM_MEDIA_TYPE,
    PROBLEM_SCHEMA,
    explain_fields,
    make_problem,
    summarize_fields,
)
from searchapp.server.request_models import UNKNOWN_FIELD_MESSAGE
from searchapp.server.threaded_calls import Starting

logger = logging.getLogger(__name__)
PROBLEM_RESPONSE = {
    "description": (
        "Reason of the error. 400: an invalid query or picture; 401: no token; 403: a page of "
        "another site, or a library that is read-only; 404: no such image, collection, saved "
        "search or path; 409: a folder of links that cannot be changed, or work that is not done; "
        "413: a request that is too large; 421: another host name; 422: invalid fields; "
        "429: too much work in the background; 500: a fault of the server; 503: the model "
        "is loading, repeat the request after the seconds in Retry-After."
    ),
    "content": {PROBLEM_MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}},
}
# One entry for all statuses: Swagger UI shows each entry of each route, with its example.
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {"default": PROBLEM_RESPONSE}


def add_error_handlers(app: FastAPI) -> None:
    """Make the app answer each exception with a problem."""
    app.add_exception_handler(SearchAppError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_fields)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_unexpected_error)


def make_problem_response(
    status: int,
    detail: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error as an HTTP response: see make_problem."""
    return Response(
        make_problem(status, detail, details), status, headers, media_type=PROBLEM_MEDIA_TYPE
    )


def make_error_response(
    error: SearchAppError, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an expected error as an HTTP response."""
    return make_problem_response(status, str(error), error_to_dict(error), headers)


async def _answer_error(request: Request, error: Exception) -> Response:
    """Return an error with the HTTP status of its class."""
    assert isinstance(error, SearchAppError)  # the handler is registered for this class
    headers = None
    match error:
        case Starting():
            status, headers = 503, {"Retry-After": "1"}
        case QueryError() | PictureError() | UnsupportedModality():
            status = 400
        case ReadOnlyError():
            status = 403
        case FolderError():
            status = 409
        case LibraryError():
            status = 404
        case TooManyJobsError():
            status = 429
        case _:
            status = 500
    if status != 503:  # a starting engine is not an error
        path = request.url.path[:MAX_LOGGED_PATH_CHARACTERS]
        logger.info(
            "The request %s %r failed (%d): %s", request.method, path, status, type(error).__name__
        )
        # The message can contain the text of a query.
        logger.debug("Reason of the failed request: %s", error)
    return make_error_response(error, status, headers)


async def _answer_invalid_fields(request: Request, error: Exception) -> Response:
    """Return the invalid fields of a request, with status 422.

    FastAPI's own answer repeats the value of each field, which can be NaN, a text that no encoding
    can hold, or 64 MiB long.
    """
    assert isinstance(error, RequestValidationError)
    fields = explain_fields(error.errors(), UNKNOWN_FIELD_MESSAGE)
    return make_problem_response(422, summarize_fields(fields), {"errors": fields})


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Return an error of the routing or of a route."""
    assert isinstance(error, HTTPException)
    return make_problem_response(error.status_code, error.detail, None, error.headers)


async def _answer_unexpected_error(request: Request, error: Exception) -> Response:
    """Return a fault of the server, with status 500; uvicorn logs its traceback.

    A client must be able to tell a fault of its request from the end of the process.
    """
    detail = (
        f"the server failed on this request ({type(error).__name__}). Its log has the reason; "
        "please report it."
    )
    return make_error_response(SearchAppError(detail), 500)
