"""Parse http and https URLs; every fault of a URL becomes a ValueError with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import httpx

HTTP_SCHEMES = ("http", "https")


def parse_http_url(text: str) -> httpx.URL:
    """Return a valid http or https URL; names with letters such as ü become IDNA names.

    Raises ValueError if the URL is not valid. Its message states the reason, and repeats no part of
    the URL, because a URL may contain a password.
    """
    import httpx

    try:
        parts = urlsplit(text)
        port = parts.port  # It raises ValueError for ports above 65535, which httpx accepts.
        has_host = bool(parts.hostname)
    except ValueError as error:
        raise ValueError("the host or port of the URL is not valid") from error
    if parts.scheme not in HTTP_SCHEMES or not has_host:
        raise ValueError("the URL must begin with http:// or https:// and a host")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise ValueError("the host or a character of the URL is not valid") from error
    if port == 0 or not url.host:
        raise ValueError("the host or port of the URL is not valid")
    return url


def has_broken_password(text: str) -> bool:
    """Return whether a server's URL has an @ or # after its host.

    An unescaped /, ? or # in a password ends the host early: http://USER:12/3@HOST would be the
    host USER. Paths of files may contain @, so this check is only for the addresses of servers.
    """
    parts = urlsplit(text)
    names = (name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return "#" in text or "@" in parts.path or any("@" in name for name in names)
