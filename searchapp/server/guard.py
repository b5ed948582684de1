"""Access checks between the network and the API: host, origin, token, and size of the body."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
TOKEN_COOKIE = "searchapp_token"
MAX_BODY_BYTES = 64 << 20
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; img-src 'self' blob: data:; media-src 'self'; "
        "style-src 'self'; script-src 'self'; "
        "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Token and host names that a request over TCP must have."""

    token: str | None = None  # None: no token is required
    hosts: frozenset[str] = LOOPBACK_HOSTS  # allowed in the header Host, if there is no token


BODY_TOO_LARGE = (
    413,
    f"the request is larger than {MAX_BODY_BYTES >> 20} MiB. Send fewer or smaller pictures.",
)
MAX_LOGGED_PATH_CHARACTERS = 200


class BodyTooLargeError(Exception):
    """The body of a request is larger than MAX_BODY_BYTES."""


class AccessGuard:
    """ASGI middleware: checks host, origin and token, limits the body, adds security headers.

    Only the user can open the Unix socket (mode 0600), so its requests need no token.
    """

    def __init__(self, app: App, rules: AccessRules) -> None:
        """Store the ASGI app to protect, and the access rules."""
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        scope["searchapp.local"] = is_from_unix_socket(scope)
        rejection = None if is_from_unix_socket(scope) else self._check_request(scope, headers)
        if rejection is None and _parse_content_length(headers) > MAX_BODY_BYTES:
            rejection = BODY_TOO_LARGE
        if rejection is not None:
            _log_rejection(scope, rejection)
            await _send_answer(send, *rejection)
            return
        if not is_from_unix_socket(scope) and self._has_query_token(scope):
            cookie = f"{TOKEN_COOKIE}={self._rules.token}; Path=/; HttpOnly; SameSite=Strict"
            await _send_answer(send, 303, "", {"location": "/", "set-cookie": cookie})
            return
        body, is_answered = _LimitedBody(receive), False

        async def send_unless_rejected(message: Message) -> None:
            nonlocal is_answered
            if body.is_too_large and not is_answered:
                # The app turns BodyTooLargeError into an answer of its own: drop that answer.
                return
            is_answered = True
            await send(message)

        try:
            await self._app(scope, body, _add_security_headers(send_unless_rejected))
        except Exception:  # the layers of the app wrap BodyTooLargeError in other exceptions
            if not body.is_too_large:
                raise
        if body.is_too_large and not is_answered:
            _log_rejection(scope, BODY_TOO_LARGE)
            await _send_answer(send, *BODY_TOO_LARGE)

    def _check_request(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return the HTTP status and the reason of a refusal; None if the request is allowed."""
        host = headers.get("host", "")
        if self._rules.token is None and _parse_host_name(host) not in self._rules.hosts:
            return 421, (
                "this server does not accept this host name. Open http://localhost:PORT, or run "
                "`searchapp serve` with a --token."
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, (
                "the request comes from a page of another site. Open the page of this server; a "
                "proxy must forward the header Host unchanged."
            )
        if self._rules.token is None or scope["path"] == "/healthz" or self._has_query_token(scope):
            return None
        if self._is_valid_token(_parse_bearer_token(headers)) or self._is_valid_token(
            _parse_token_cookie(headers)
        ):
            return None
        return 401, (
            "this server needs a token. Open /?token=SECRET, or send the header "
            "Authorization: Bearer SECRET."
        )

    def _has_query_token(self, scope: Scope) -> bool:
        if self._rules.token is None or scope["path"] != "/" or scope["method"] != "GET":
            return False
        tokens = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        return self._is_valid_token(tokens[0])

    def _is_valid_token(self, token: str) -> bool:
        expected = (self._rules.token or "").encode()
        return bool(expected) and hmac.compare_digest(token.encode("utf-8", "replace"), expected)


def is_from_unix_socket(scope: Scope) -> bool:
    """Return whether a request came through the Unix socket."""
    server = scope.get("server")
    return server is not None and server[1] is None


def _parse_host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _parse_content_length(headers: dict[str, str]) -> int:
    try:
        return int(headers.get("content-length", "0"))
    except ValueError:
        return 0


def _parse_bearer_token(headers: dict[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _parse_token_cookie(headers: dict[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(TOKEN_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


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


async def _send_answer(
    send: Send, status: int, detail: str, headers: dict[str, str] | None = None
) -> None:
    import json

    body = json.dumps({"detail": detail}).encode() if detail else b""
    content_headers = {"content-type": "application/json", "content-length": str(len(body))}
    merged = {**SECURITY_HEADERS, **content_headers, **(headers or {})}
    encoded_headers = [(name.encode(), value.encode()) for name, value in merged.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded_headers})
    await send({"type": "http.response.body", "body": body})
