"""Fetch a picture for a web client, from public addresses only.

A client must not reach the network of the server (server-side request forgery).
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urljoin, urlsplit, urlunsplit

from searchapp.errors import PictureError
from searchapp.files.fetch_url import MAX_DOWNLOAD_BYTES, TIMEOUT_S

MAX_REDIRECTS = 5


def fetch_public_url(url: str) -> bytes:
    """Return the bytes at a public http or https URL.

    A host name is resolved once, and the connection goes to the address that was checked: DNS
    rebinding has no effect. Each redirect is checked in the same way.
    Raises PictureError if the address is private, or the download fails or is too large.
    """
    import httpx

    for _ in range(MAX_REDIRECTS + 1):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PictureError("only http and https URLs can be fetched", "read")
        address = _resolve_public_address(
            parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        )
        port = f":{parts.port}" if parts.port else ""
        host = f"[{address}]" if ":" in address else address
        target = urlunsplit((parts.scheme, host + port, parts.path or "/", parts.query, ""))
        headers = {"Host": parts.hostname + port}
        try:
            with (
                httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client,
                client.stream(
                    "GET", target, headers=headers, extensions={"sni_hostname": parts.hostname}
                ) as response,
            ):
                if response.is_redirect:
                    url = urljoin(url, response.headers["location"])
                    continue
                if response.status_code != 200:
                    raise PictureError(
                        f"the picture cannot be fetched: the server answers {response.status_code}",
                        "read",
                    )
                data = bytearray()
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > MAX_DOWNLOAD_BYTES:
                        raise PictureError(
                            "the picture cannot be fetched: it is larger than "
                            f"{MAX_DOWNLOAD_BYTES >> 20} MiB",
                            "read",
                        )
                return bytes(data)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise PictureError(
                f"the picture cannot be fetched: {error or type(error).__name__}", "read"
            ) from error
    raise PictureError(
        f"the picture cannot be fetched: more than {MAX_REDIRECTS} redirects", "read"
    )


def _resolve_public_address(host: str, port: int) -> str:
    """Return an address of a host; raise PictureError if any of its addresses is private."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PictureError(f"the host name {host} cannot be resolved", "read") from error
    addresses = [str(entry[4][0]) for entry in entries]
    for address in addresses:
        if not ipaddress.ip_address(address.split("%")[0]).is_global:
            raise PictureError(f"{host} is not a public address; send the picture itself", "read")
    return addresses[0]
