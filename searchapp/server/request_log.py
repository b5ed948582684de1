"""Log each HTTP request: method, path, status and milliseconds, without secrets."""

from __future__ import annotations

import logging
import time
from urllib.parse import parse_qsl, urlencode

from searchapp.server.guard import (
    MAX_LOGGED_PATH_CHARACTERS,
    App,
    Message,
    Receive,
    Scope,
    Send,
)

logger = logging.getLogger(__name__)
SECRET_FIELDS = frozenset({"token"})


class RequestLog:
    """ASGI middleware that logs each request.

    It wraps all other middleware, so that it logs refused requests too. The query string can hold
    the texts of a query and a token: it is logged at DEBUG, without the token. Bodies and headers
    are not logged.
    """

    def __init__(self, app: App) -> None:
        """Store the ASGI app whose requests are logged."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and log it when the answer is sent."""
        if scope["type"] != "http" or not logger.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        status, started_at = 500, time.monotonic()  # 500 stays if the app raises before it answers

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            milliseconds = 1000 * (time.monotonic() - started_at)
            path = scope["path"][:MAX_LOGGED_PATH_CHARACTERS]
            logger.info("%s %s %d %.0f ms", scope["method"], path, status, milliseconds)
            if scope["query_string"]:
                logger.debug(
                    "Query string of the request %s: %s", path, _hide_secrets(scope["query_string"])
                )


def _hide_secrets(query_string: bytes) -> str:
    fields = parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
    return urlencode(
        [(name, "..." if name.lower() in SECRET_FIELDS else value) for name, value in fields]
    )
