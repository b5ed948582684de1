"""Accept requests in more forms than the routes have: HEAD, and paths without a version."""

from __future__ import annotations

from searchapp.server.guard import App, Message, Receive, Scope, Send
from searchapp.server.unix_http import API_PREFIX

OLD_API_PREFIX = "/api"
HEAD_MARK = "searchapp.is_head"  # in the scope: the client wants no body


class RequestForms:
    """ASGI middleware that turns each request into the form that the routes know."""

    def __init__(self, app: App) -> None:
        """Store the ASGI app that has the routes."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer HEAD as GET without a body, and an old path as its path in the current version."""
        if scope["type"] == "http":
            path = update_api_path(scope["path"])
            scope = {**scope, "path": path, HEAD_MARK: scope["method"] == "HEAD"}
            if scope[HEAD_MARK]:
                scope["method"], send = "GET", _drop_body(send)
        await self._app(scope, receive, send)


def update_api_path(path: str) -> str:
    """Return the path in the current version of the API for a path without a version."""
    if path.startswith(f"{OLD_API_PREFIX}/") and not path.startswith(f"{API_PREFIX}/"):
        return API_PREFIX + path.removeprefix(OLD_API_PREFIX)
    return path


def _drop_body(send: Send) -> Send:
    async def send_without_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_without_body
