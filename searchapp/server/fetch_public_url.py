"""Fetch a picture for a web client, from public addresses only.

A client must not reach the network of the server (server-side request forgery).
"""

from __future__ import annotations

import ipaddress
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from searchapp.errors import PictureError
from searchapp.files.fetch_url import download

# https://www.iana.org/assignments/ipv6-unicast-address-assignments
GLOBAL_UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")  # https://www.rfc-editor.org/rfc/rfc6052
# The versions of Python differ in what is_global returns for these networks.
# https://www.iana.org/assignments/iana-ipv4-special-registry
# https://www.iana.org/assignments/iana-ipv6-special-registry
SPECIAL_NETWORKS = (
    IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"), IPv6Network("3fff::/20"),
)  # fmt: skip


def fetch_public_url(url: str) -> bytes:
    """Return the bytes at a public http or https URL.

    A host name is resolved once, and the connection goes to the address that was checked: DNS
    rebinding has no effect. Each redirect is checked in the same way.
    Raises PictureError if the address is not public, or the download fails or is too large.
    """
    return download(url, _resolve_public_address)


def _resolve_public_address(host: str, port: int) -> str:
    """Return an address of a host; raise PictureError if any of its addresses is not public."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:  # UnicodeError is a ValueError.
        raise PictureError(
            f"the host name {host} cannot be resolved; check the URL", "read"
        ) from error
    addresses = [str(entry[4][0]) for entry in entries]
    for address in addresses:
        if not _is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise PictureError(f"{host} is not a public address; send the picture itself", "read")
    return addresses[0]


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address, and each IPv4 address in it, is global unicast."""
    if isinstance(address, IPv6Address) and (embedded := _list_embedded(address)):
        return all(map(_is_public, embedded))
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in SPECIAL_NETWORKS)
        and (isinstance(address, IPv4Address) or address in GLOBAL_UNICAST)
    )


def _list_embedded(address: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses to which a gateway may forward packets for an IPv6 address."""
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if address in NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    return []
