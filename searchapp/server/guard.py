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

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
COOKIE = "searchapp_token"
MAX_BODY = 64 << 20  # bytes
HEADERS = {
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
class Rules:
    """What a server demands: of whom, and by which name."""

    token: str | None = None  # None: loopback only, no token
    hosts: frozenset[str] = LOOPBACK  # names it may be asked by; with a token, any


TOO_LARGE = 413, f"the limit is {MAX_BODY >> 20} MiB"


class TooLarge(Exception):
    """The body of a request is over the limit."""


class Guard:
    """An ASGI layer: checks host, origin and token, bounds the body, and adds headers.

    What comes by the Unix socket is from the user, by the socket's mode 0600, and passes.
    """

    def __init__(self, app: App, rules: Rules) -> None:
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
        scope["searchapp.local"] = by_socket(scope)
        refusal = None if by_socket(scope) else self._refusal(scope, headers)
        if refusal is None and _length(headers) > MAX_BODY:
            refusal = TOO_LARGE
        if refusal is not None:
            await _answer(send, *refusal)
            return
        if not by_socket(scope) and self._brings_token(scope):
            cookie = f"{COOKIE}={self._rules.token}; Path=/; HttpOnly; SameSite=Strict"
            await _answer(send, 303, "", {"location": "/", "set-cookie": cookie})
            return
        body, answered = _Body(receive), False

        async def answer(message: Message) -> None:
            nonlocal answered
            if body.refused and not answered:  # whatever the app makes of that
                return
            answered = True
            await send(message)

        try:
            await self._app(scope, body, _with_headers(answer))
        except Exception:  # the app's layers wrap TooLarge in many ways
            if not body.refused:
                raise
        if body.refused and not answered:
            await _answer(send, *TOO_LARGE)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if self._rules.token is None and _name(host) not in self._rules.hosts:
            return 421, "this server does not go by that name"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, "asked by another site"
        if self._rules.token is None or scope["path"] == "/healthz" or self._brings_token(scope):
            return None
        if self._is_token(_bearer(headers)) or self._is_token(_cookie(headers)):
            return None
        return 401, "a token is needed: open /?token=..., or send Authorization: Bearer ..."

    def _brings_token(self, scope: Scope) -> bool:
        if self._rules.token is None or scope["path"] != "/" or scope["method"] != "GET":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])
        return self._is_token(given[0])

    def _is_token(self, given: str) -> bool:
        expected = (self._rules.token or "").encode()
        return bool(expected) and hmac.compare_digest(given.encode("utf-8", "replace"), expected)


def by_socket(scope: Scope) -> bool:
    """Tell whether a request came by the Unix socket."""
    server = scope.get("server")
    return server is not None and server[1] is None


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _length(headers: dict[str, str]) -> int:
    try:
        return int(headers.get("content-length", "0"))
    except ValueError:
        return 0


def _bearer(headers: dict[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _cookie(headers: dict[str, str]) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


class _Body:
    """Stops reading a body that grows over the limit, whatever its header said."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._seen = receive, 0
        self.refused = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > MAX_BODY:
            self.refused = True
            raise TooLarge
        return message


def _with_headers(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *((k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in there),
            ]
        await send(message)

    return with_headers


async def _answer(
    send: Send, status: int, detail: str, headers: dict[str, str] | None = None
) -> None:
    import json

    body = json.dumps({"detail": detail}).encode() if detail else b""
    given = {"content-type": "application/json", "content-length": str(len(body))}
    merged = {**HEADERS, **given, **(headers or {})}
    listed = [(name.encode(), value.encode()) for name, value in merged.items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})
