"""Answer 304 if the client has an answer already (RFC 9110, section 13)."""

from __future__ import annotations

import re
from hashlib import sha256

from searchapp.server.guard import App, Message, Receive, Scope, Send

ENTITY_TAG_PATTERN = re.compile(r'(?:W/)?("[^"]*")')
# A browser asks whether its copy is still right, each time that it needs the answer.
REVALIDATE = "private, no-cache"


def is_current(entity_tag: str, if_none_match: str) -> bool:
    """Return whether the header If-None-Match names an entity tag, or any answer.

    The comparison is weak (section 8.8.3.2): W/"x" and "x" name the same content.
    """
    if if_none_match.strip() == "*":
        return True
    return entity_tag.removeprefix("W/") in ENTITY_TAG_PATTERN.findall(if_none_match)


class ConditionalJson:
    """ASGI middleware that gives a JSON answer to GET an entity tag, and answers 304 if it fits.

    The tag is a digest of the answer, so it needs no knowledge of the library. It is weak, because
    the answer can be compressed on its way.
    """

    def __init__(self, app: App) -> None:
        """Store the ASGI app whose answers get a tag."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, and its JSON answer with a tag to the client."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _JsonBuffer(scope, send))


class _JsonBuffer:
    """Send function that keeps a JSON answer until it is complete, and passes others on."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_json(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        tag = f'W/"{sha256(self._body).hexdigest()[:32]}"'
        new = [(b"etag", tag.encode()), (b"cache-control", REVALIDATE.encode())]
        headers, body = [*start["headers"], *new], bytes(self._body)
        if is_current(tag, _read_if_none_match(self._scope)):
            # Section 15.4.5: no header that describes a content.
            headers = [each for each in headers if not each[0].lower().startswith(b"content-")]
            start, body = {**start, "status": 304}, b""
        await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _is_json(start: Message) -> bool:
    """Return whether an answer is a successful JSON answer without a tag of its own."""
    headers = {name.lower(): value for name, value in start["headers"]}
    return (
        start["status"] == 200
        and b"etag" not in headers
        and headers.get(b"content-type", b"").startswith(b"application/json")
    )


def _read_if_none_match(scope: Scope) -> str:
    values = [value for name, value in scope["headers"] if name.lower() == b"if-none-match"]
    return b", ".join(values).decode("latin-1")
