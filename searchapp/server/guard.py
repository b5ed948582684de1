"""Who may ask, and how much: what stands between the network and the API."""

from __future__ import annotations

import hmac
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

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
TOKEN_COOKIE = "searchapp_token"
MAX_BODY_BYTES = 64 << 20  # bytes
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
    """What a server demands: of whom, and by which name."""

    token: str | None = None  # None: loopback only, no token
    hosts: frozenset[str] = LOOPBACK_HOSTS  # names it may be asked by; with a token, any


BODY_TOO_LARGE = 413, f"the limit is {MAX_BODY_BYTES >> 20} MiB"


class BodyTooLargeError(Exception):
    """The body of a request is over the limit."""


class AccessGuard:
    """An ASGI layer: checks host, origin and token, bounds the body, and adds headers.

    What comes by the Unix socket is from the user, by the socket's mode 0600, and passes.
    """

    def __init__(self, app: App, rules: AccessRules) -> None:
        """Stand before an app."""
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
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
            await _send_answer(send, *rejection)
            return
        if not is_from_unix_socket(scope) and self._has_query_token(scope):
            cookie = f"{TOKEN_COOKIE}={self._rules.token}; Path=/; HttpOnly; SameSite=Strict"
            await _send_answer(send, 303, "", {"location": "/", "set-cookie": cookie})
            return
        body, is_answered = _LimitedBody(receive), False

        async def send_unless_rejected(message: Message) -> None:
            nonlocal is_answered
            if body.is_too_large and not is_answered:  # whatever the app makes of that
                return
            is_answered = True
            await send(message)

        try:
            await self._app(scope, body, _add_security_headers(send_unless_rejected))
        except Exception:  # the app's layers wrap TooLarge in many ways
            if not body.is_too_large:
                raise
        if body.is_too_large and not is_answered:
            await _send_answer(send, *BODY_TOO_LARGE)

    def _check_request(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if self._rules.token is None and _parse_host_name(host) not in self._rules.hosts:
            return 421, "this server does not go by that name"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "asked by another site"
        if self._rules.token is None or scope["path"] == "/healthz" or self._has_query_token(scope):
            return None
        if self._is_valid_token(_parse_bearer_token(headers)) or self._is_valid_token(
            _parse_token_cookie(headers)
        ):
            return None
        return 401, "a token is needed: open /?token=..., or send Authorization: Bearer ..."

    def _has_query_token(self, scope: Scope) -> bool:
        if self._rules.token is None or scope["path"] != "/" or scope["method"] != "GET":
            return False
        tokens = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        return self._is_valid_token(tokens[0])

    def _is_valid_token(self, token: str) -> bool:
        expected = (self._rules.token or "").encode()
        return bool(expected) and hmac.compare_digest(token.encode("utf-8", "replace"), expected)


def is_from_unix_socket(scope: Scope) -> bool:
    """Tell whether a request came by the Unix socket."""
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
    """Stops reading a body that grows over the limit, whatever its header said."""

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
