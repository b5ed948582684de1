"""Stream parts of files, and close the files when the client goes."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class FileStream(StreamingResponse):
    """Answer that streams from a generator on threads.

    Starlette does not close the generator if the client goes. Then its files stay open until the
    garbage collector runs.
    """

    def __init__(
        self,
        parts: Generator[bytes, None, None],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        """Stream the parts, in order."""
        super().__init__(parts, status_code, headers, media_type)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; anyio waits for the thread that makes the next part."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._parts.close()
