"""Answer HTTP range requests for a video, from a file or from object storage."""

from __future__ import annotations

import re
from collections.abc import Generator

from fastapi import HTTPException, Response

from searchapp.files.scan import get_suffix
from searchapp.pictures.originals import open_original
from searchapp.server.file_stream import FileStream
from searchapp.types import Original

MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".3gp": "video/3gpp",
    ".ogv": "video/ogg",
}
# One or several ranges: RFC 9110, section 14.1.2. 18 digits fit into 64 bits.
ONE_RANGE = r"[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18}"
RANGES_PATTERN = re.compile(rf"bytes=\s*(?:{ONE_RANGE})(?:\s*,\s*(?:{ONE_RANGE})){{0,99}}\s*")
CHUNK_BYTES = 1 << 18  # size of one read


def range_response(
    video: Original, range_header: str | None, cache_headers: dict[str, str]
) -> Response:
    """Return the bytes of a video that the header Range asks for, or the complete video.

    Status 206 for a range (RFC 9110, section 14). Raises HTTPException with status 416 for a range
    outside the video, and with status 400 if the header is malformed.
    """
    if range_header is not None and not RANGES_PATTERN.fullmatch(range_header):
        raise HTTPException(400, "the header Range is malformed. Send bytes=FIRST-LAST.")
    media_type = MEDIA_TYPES.get(get_suffix(video.path), "application/octet-stream")
    headers = cache_headers | {"Accept-Ranges": "bytes"}
    size = video.size or 0
    match = re.fullmatch(r"bytes=\s*([0-9]*)-([0-9]*)\s*", range_header or "")
    if match is None:  # no range, or several ranges
        # RFC 9110, section 14.2, allows the complete content instead of several ranges.
        headers["Content-Length"] = str(size)
        return FileStream(_read_chunks(video, 0, size), media_type=media_type, headers=headers)
    if match[1]:
        start, end = int(match[1]), min(int(match[2] or size), size - 1) + 1
    else:
        start, end = max(0, size - int(match[2])), size
    if start >= end:
        raise HTTPException(
            416,
            f"the header Range is outside the video, which has {size} bytes.",
            headers | {"Content-Range": f"bytes */{size}"},
        )
    headers |= {
        "Content-Range": f"bytes {start}-{end - 1}/{size}",
        "Content-Length": str(end - start),
    }
    return FileStream(_read_chunks(video, start, end), 206, headers=headers, media_type=media_type)


def _read_chunks(video: Original, start: int, end: int) -> Generator[bytes, None, None]:
    """Yield the bytes from start to end; a file that is not the video any more ends the answer."""
    with open_original(video) as file:
        file.seek(start)
        while start < end and (chunk := file.read(min(CHUNK_BYTES, end - start))):
            start += len(chunk)
            yield chunk
