"""Read the picture of a query from a file or a URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from searchapp.errors import PictureError
from searchapp.files import storage
from searchapp.files.enter_path import enter_path
from searchapp.files.http_url import parse_http_url
from searchapp.files.scan import is_video

MAX_DOWNLOAD_BYTES = 64 << 20
MAX_REDIRECTS = 5
TIMEOUT_S = 30.0


def read_query_image(image: str | Path) -> bytes:
    """Return the bytes of a picture file or URL.

    Raises PictureError, with the path or URL in the message, if it cannot be read.
    """
    name = str(image)
    if not storage.is_url(name):
        name = str(enter_path(name, lambda message: PictureError(message, "read")))
    try:
        if name.startswith(("http://", "https://")):
            return download(name)
        if is_video(name):
            raise PictureError(
                "the file is a video; use a picture, such as one frame of the video", "read"
            )
        return storage.read_file(name)[0]
    except PictureError as error:
        raise PictureError(f"{name}: {error}", error.stage) from error


def download(url: str, resolve: Callable[[str, int], str] | None = None) -> bytes:
    """Return the bytes at an http or https URL, and follow redirects.

    resolve: returns the IP address to connect to, for a host and port; it also checks the target of
    each redirect. If it is given, no proxy is used, because a proxy resolves names again.
    Raises PictureError if the URL is not valid, or the download fails or is too large.
    """
    import httpx

    try:
        with httpx.Client(timeout=TIMEOUT_S, trust_env=resolve is None) as client:
            location = parse_http_url(url)
            for _ in range(MAX_REDIRECTS + 1):
                with client.stream("GET", **_make_request(location, resolve)) as response:
                    if not response.has_redirect_location:
                        return _read_body(response)
                    location = parse_http_url(str(location.join(response.headers["location"])))
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise _make_fetch_error(f"{reason}. Check the URL, or give the picture itself") from error
    raise _make_fetch_error(f"more than {MAX_REDIRECTS} redirects. Use the final URL")


def _make_request(url: Any, resolve: Callable[[str, int], str] | None) -> dict[str, Any]:
    """Return the arguments of a request; with resolve, it goes to the address that was checked."""
    if resolve is None:
        return {"url": url}
    host = url.raw_host.decode("ascii")
    address = resolve(host, url.port or (443 if url.scheme == "https" else 80))
    return {
        "url": url.copy_with(host=address, userinfo=b""),
        "headers": {"Host": url.netloc.decode("ascii")},
        "extensions": {"sni_hostname": host},
    }


def _read_body(response: Any) -> bytes:
    if response.status_code != 200:
        raise _make_fetch_error(
            f"the server answers {response.status_code} {response.reason_phrase}".rstrip()
            + ". Check the URL, or give the picture itself"
        )
    data = bytearray()
    for part in response.iter_bytes():
        data += part
        if len(data) > MAX_DOWNLOAD_BYTES:
            raise _make_fetch_error(
                f"it is larger than {MAX_DOWNLOAD_BYTES >> 20} MiB. Send a smaller copy of it"
            )
    return bytes(data)


def _make_fetch_error(reason: str) -> PictureError:
    return PictureError(f"the picture cannot be fetched: {reason}", "read")
