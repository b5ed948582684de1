"""Read the picture of a query from a file or a URL."""

from __future__ import annotations

from pathlib import Path

from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.files.scan import is_video

MAX_DOWNLOAD_BYTES = 64 << 20
TIMEOUT_S = 30.0


def read_query_image(image: str | Path) -> bytes:
    """Return the bytes of a picture file or URL.

    Raises PictureError, with the path or URL in the message, if it cannot be read.
    """
    name = str(image)
    try:
        if name.startswith(("http://", "https://")):
            return _download(name)
        if is_video(name):
            raise PictureError(
                "the file is a video; use a picture, such as one frame of the video", "read"
            )
        if not storage.is_url(name):
            name = str(Path(name).expanduser())
        return storage.read_file(name)[0]
    except PictureError as error:
        raise PictureError(f"{name}: {error}", error.stage) from error


def _download(url: str) -> bytes:
    import httpx

    try:
        with httpx.stream("GET", url, timeout=TIMEOUT_S, follow_redirects=True) as response:
            if response.status_code != 200:
                reason = response.reason_phrase
                raise PictureError(f"the server answers {response.status_code} {reason}", "read")
            data = bytearray()
            for part in response.iter_bytes():
                data += part
                if len(data) > MAX_DOWNLOAD_BYTES:
                    limit = MAX_DOWNLOAD_BYTES >> 20
                    raise PictureError(
                        f"the picture is larger than {limit} MiB; download it and give its path",
                        "read",
                    )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise PictureError(f"the picture cannot be fetched: {reason}", "read") from error
    return bytes(data)
