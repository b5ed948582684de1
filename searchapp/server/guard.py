"""Access checks between the network and the API: host, origin, token, and size of the body."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from searchapp.server import login_page
from searchapp.server.access_token import AccessToken
from searchapp.server.problems import PROBLEM_MEDIA_TYPE, make_problem

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
# A request that has one of these headers twice means different things to different programs.
SINGLE_HEADERS = frozenset(
    {"authorization", "content-length", "content-type", "host", "origin", "sec-fetch-site"}
)
# Pages that another site may link to. All other addresses are for the page itself and for programs.
LINKED_PAGES = frozenset({"/", "/docs"})
# Programs that watch the process need no token: the answers say nothing about the library.
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
MAX_BODY_BYTES = 64 << 20
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self' blob: data:; media-src 'self'; "
        "style-src 'self'; script-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; "
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Token and host names that a request over TCP must have."""

    token: str | None = None  # None: no token is required; AccessToken tells which are valid
    hosts: frozenset[str] = LOOPBACK_HOSTS  # allowed in the header Host, if there is no token


FOREIGN_PAGE = (
    403,
    "the request comes from a page of another site. Open the page of this server; a proxy must "
    "forward the header Host unchanged.",
)
NO_TOKEN = (
    401,
    "this server needs a token. Open the page / and enter it, or send the header "
    "Authorization: Bearer SECRET.",
)
STOPPING = (503, "the server is stopping. Repeat the request.")
BODY_TOO_LARGE = (
    413,
    f"the request is larger than {MAX_BODY_BYTES >> 20} MiB. Send fewer or smaller pictures.",
)
MAX_LOGGED_PATH_CHARACTERS = 200


class BodyTooLargeError(Exception):
    """The body of a request is larger than MAX_BODY_BYTES."""


class AccessGuard:
    """ASGI middleware: checks host, origin and token, limits the body, adds security headers.

    Only the user can open the Unix socket (mode 0600), so its requests need no token, and their
    bodies have no limit.
    """

    def __init__(self, app: App, rules: AccessRules) -> None:
        """Store the ASGI app to protect, and the access rules.

        Raises QueryError if the token of the rules cannot be sent in a header.
        """
        self._app, self._hosts = app, rules.hosts
        self._token = None if rules.token is None else AccessToken(rules.token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_local = scope["searchapp.local"] = is_from_unix_socket(scope)
        rejection = None if is_local else self._check_request(scope)
        can_log_in = self._token is not None and not is_local and scope["path"] in LINKED_PAGES
        if can_log_in and rejection in (None, NO_TOKEN) and login_page.is_form_request(scope):
            await self._log_in(scope, receive, send)
        elif can_log_in and rejection is NO_TOKEN and login_page.is_page_request(scope):
            _log_rejection(scope, rejection)
            is_wrong = b"token=" in scope["query_string"]
            await _send_login_page(send, is_wrong=is_wrong)
        elif rejection is not None:
            _log_rejection(scope, rejection)
            await _send_answer(send, *rejection)
        elif not is_local and self._has_query_token(scope):
            assert self._token is not None  # it is in the query string
            headers = {"location": "/", "set-cookie": self._token.make_cookie()}
            await _send_answer(send, 303, "", headers)
        else:
            await self._call_app(scope, receive if is_local else _LimitedBody(receive), send)

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the form of the login page: load the page with a cookie, or show the form again.

        The address that the browser loads next is relative, because a proxy may serve the page
        below a path.
        """
        assert self._token is not None  # there is no form without a token
        if not self._token.is_in_query(await login_page.read_form(receive)):
            _log_rejection(scope, NO_TOKEN)
            await _send_login_page(send, is_wrong=True)
            return
        location = f".{scope['path']}{login_page.make_query_without_token(scope)}"
        headers = {"location": location, "set-cookie": self._token.make_cookie()}
        await _send_answer(send, 303, "", headers)

    async def _call_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_answered = False

        def is_too_large() -> bool:
            return isinstance(receive, _LimitedBody) and receive.is_too_large

        async def send_unless_rejected(message: Message) -> None:
            nonlocal is_answered
            if is_too_large() and not is_answered:
                # The app turns BodyTooLargeError into an answer of its own: drop that answer.
                return
            is_answered = True
            await send(message)

        try:
            await self._app(scope, receive, _add_security_headers(send_unless_rejected))
        except asyncio.CancelledError:  # uvicorn cancels the requests that delay its stop
            if not is_answered:
                await _send_answer(send, *STOPPING, {"retry-after": "1"})
            raise
        except Exception:  # the layers of the app wrap BodyTooLargeError in other exceptions
            if not is_too_large():
                raise
        if is_too_large() and not is_answered:
            _log_rejection(scope, BODY_TOO_LARGE)
            await _send_answer(send, *BODY_TOO_LARGE)

    def _check_request(self, scope: Scope) -> tuple[int, str] | None:
        """Return the HTTP status and the reason of a refusal; None if the request is allowed."""
        headers: dict[str, str] = {}
        for raw_name, value in scope["headers"]:
            name = raw_name.decode("latin-1").lower()
            if name in SINGLE_HEADERS and name in headers:
                return 400, f"the request has the header {name} more than once. Send it once."
            headers.setdefault(name, value.decode("latin-1"))
        host = headers.get("host", "")
        if self._token is None and _parse_host_name(host) not in self._hosts:
            return 421, (
                "this server does not accept this host name. Open http://localhost:PORT, or run "
                "`searchapp serve` with a --token."
            )
        if _is_from_foreign_page(scope, headers, host):
            return FOREIGN_PAGE
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            return 400, "the header Content-Length is not a number."
        if len(length) > len(str(MAX_BODY_BYTES)) or int(length) > MAX_BODY_BYTES:
            return BODY_TOO_LARGE
        if self._token is None or scope["path"] in OPEN_PATHS or self._has_query_token(scope):
            return None
        return None if self._token.is_in_headers(scope["headers"]) else NO_TOKEN

    def _has_query_token(self, scope: Scope) -> bool:
        if self._token is None or scope["path"] != "/" or scope["method"] != "GET":
            return False
        return self._token.is_in_query(scope["query_string"])


def is_from_unix_socket(scope: Scope) -> bool:
    """Return whether a request came through the Unix socket."""
    server = scope.get("server")
    return server is not None and server[1] is None


def _parse_host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_from_foreign_page(scope: Scope, headers: dict[str, str], host: str) -> bool:
    """Return whether a page of another site sent a request, other than a link to a page.

    Browsers send Sec-Fetch-Site with every request to this machine or over TLS, and Origin with
    requests that have a body: https://www.w3.org/TR/fetch-metadata/. Programs send neither.
    """
    origin = headers.get("origin")
    if origin is not None and origin.lower() not in {
        f"http://{host}".lower(),
        f"https://{host}".lower(),
    }:
        return True
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return False
    is_followed_link = (
        scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    return not (is_followed_link and scope["path"] in LINKED_PAGES)


class _LimitedBody:
    """Request body that stops at MAX_BODY_BYTES, whatever its header Content-Length claims."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._received_bytes = receive, 0
        self.is_too_large = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self._received_bytes += len(message.get("body", b""))
        if self._received_bytes > MAX_BODY_BYTES:
            self.is_too_large = True
            raise BodyTooLargeError
        return message


def _add_security_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            present_names = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(
                    (k.encode(), v.encode())
                    for k, v in SECURITY_HEADERS.items()
                    if k.encode() not in present_names
                ),
            ]
        await send(message)

    return send_with_headers


def _log_rejection(scope: Scope, rejection: tuple[int, str]) -> None:
    """Log a refusal without the query string and headers, which can hold the token."""
    status, reason = rejection
    path = scope["path"][:MAX_LOGGED_PATH_CHARACTERS]
    logger.info("Refused the request %s %r (%d): %s", scope["method"], path, status, reason)


async def _send_login_page(send: Send, *, is_wrong: bool) -> None:
    await _send(send, NO_TOKEN[0], *login_page.render_login_page(is_wrong=is_wrong))


async def _send_answer(
    send: Send, status: int, detail: str, headers: dict[str, str] | None = None
) -> None:
    body = make_problem(status, detail) if detail else b""
    await _send(send, status, body, {"content-type": PROBLEM_MEDIA_TYPE, **(headers or {})})


async def _send(send: Send, status: int, body: bytes, headers: dict[str, str]) -> None:
    merged = {**SECURITY_HEADERS, "content-length": str(len(body)), **headers}
    if status == NO_TOKEN[0]:
        merged["www-authenticate"] = "Bearer"
    encoded_headers = [(name.encode(), value.encode("latin-1")) for name, value in merged.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded_headers})
    await send({"type": "http.response.body", "body": body})
