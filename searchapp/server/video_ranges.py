"""A video for a browser, which asks for parts of it: a file, or what lies in object storage."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fastapi import Response
from fastapi.responses import FileResponse, StreamingResponse

from searchapp.files import storage
from searchapp.files.scan import suffix
from searchapp.files.storage import State

KINDS = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".3gp": "video/3gpp",
    ".ogv": "video/ogg",
}
PART = 1 << 18  # bytes that are read at once


def answer(path: str, state: State, wanted: str | None) -> Response:
    """Return a video as it is, or the range of it that a request's header Range names."""
    kind = KINDS.get(suffix(path), "application/octet-stream")
    headers = {"Cache-Control": "private"}
    if not storage.is_url(path):
        return FileResponse(path, media_type=kind, headers=headers)
    headers["Accept-Ranges"] = "bytes"
    size = state.size
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
    if found is None or found[0] == "bytes=-":  # several ranges: all of it is an answer, too
        headers["Content-Length"] = str(size)
        return StreamingResponse(_parts(path, 0, size), media_type=kind, headers=headers)
    if found[1]:
        start, end = int(found[1]), min(int(found[2] or size), size - 1) + 1
    else:
        start, end = max(0, size - int(found[2])), size
    if start >= end:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    headers |= {
        "Content-Range": f"bytes {start}-{end - 1}/{size}",
        "Content-Length": str(end - start),
    }
    return StreamingResponse(_parts(path, start, end), 206, headers=headers, media_type=kind)


def _parts(path: str, start: int, end: int) -> Iterator[bytes]:
    with storage.opened(path) as (file, _):
        file.seek(start)
        while start < end and (part := file.read(min(PART, end - start))):
            start += len(part)
            yield part
