"""Compress JSON and text; pictures and videos are compressed already, also in a zip."""

from __future__ import annotations

from starlette.middleware.gzip import GZipMiddleware

from searchapp.server.guard import App, Receive, Scope, Send
from searchapp.server.unix_http import API_PREFIX

MIN_COMPRESSED_BYTES = 1000
COMPRESSION_LEVEL = 5  # level 9 takes four times as long for a list of hits, and saves 2 %
MEDIA_PATHS = tuple(f"{API_PREFIX}/{name}" for name in ("images/", "thumbnails/", "videos/", "zip"))


class CompressedAnswers:
    """ASGI middleware that compresses the answers of all paths but those of pictures."""

    def __init__(self, app: App) -> None:
        """Store the ASGI app whose answers are compressed."""
        self._app = app
        self._compressing_app = GZipMiddleware(app, MIN_COMPRESSED_BYTES, COMPRESSION_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the app, and compress the answer if the client accepts gzip."""
        is_media = scope["type"] == "http" and scope["path"].startswith(MEDIA_PATHS)
        await (self._app if is_media else self._compressing_app)(scope, receive, send)
