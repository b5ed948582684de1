"""Token of the web server: which requests hold it, in a header, a cookie or the query string."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from urllib.parse import unquote_to_bytes

from searchapp.errors import QueryError

COOKIE = "searchapp_token"


class AccessToken:
    """Secret that clients of the web server send. It may hold spaces, quotes and non-ASCII.

    All texts are compared as bytes, because a header has no encoding of its own.
    """

    def __init__(self, token: str) -> None:
        """Check and store a token.

        Raises QueryError if it is empty, or holds a control character: a header cannot hold those.
        """
        self._secret = os.fsencode(token).strip()  # HTTP strips the value of a header, too
        if not self._secret:
            raise QueryError(
                "the token is empty, so no client could send it. Give --token SECRET a value, or "
                "leave it out."
            )
        if any(byte < 0x20 or byte == 0x7F for byte in self._secret):
            raise QueryError(
                "the token holds a control character, such as a tab or a line break, and HTTP "
                "headers cannot hold it. Choose another --token SECRET."
            )
        # The cookie holds a digest: it has no special characters, and its length has no limit.
        self._cookie = hmac.digest(self._secret, COOKIE.encode(), sha256).hex().encode()

    def make_cookie(self) -> str:
        """Return the value of a Set-Cookie header that logs a browser in."""
        return f"{COOKIE}={self._cookie.decode()}; Path=/; HttpOnly; SameSite=Strict"

    def is_in_headers(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Return whether a header Authorization holds the token, or a header Cookie its digest."""
        for name, value in headers:
            if name.lower() == b"authorization":
                scheme, _, token = value.partition(b" ")
                if scheme.lower() == b"bearer" and self._is_secret(token.strip()):
                    return True
            elif name.lower() == b"cookie":
                cookies = (cookie.strip().partition(b"=") for cookie in value.split(b";"))
                if any(
                    cookie_name == COOKIE.encode() and hmac.compare_digest(text, self._cookie)
                    for cookie_name, _, text in cookies
                ):
                    return True
        return False

    def is_in_query(self, query_string: bytes) -> bool:
        """Return whether the field "token" of a query string holds the token."""
        return any(
            self._is_secret(text.strip())
            for field in query_string.split(b"&")
            if field.startswith(b"token=")
            for text in _decode_query_value(field.removeprefix(b"token="))
        )

    def _is_secret(self, text: bytes) -> bool:
        """Return whether a text is the token, in UTF-8 or in Latin-1.

        Clients whose headers are texts, such as Python's http.client, send Latin-1.
        """
        if hmac.compare_digest(text, self._secret):
            return True
        return hmac.compare_digest(text.decode("latin-1").encode(), self._secret)


def _decode_query_value(value: bytes) -> Iterator[bytes]:
    """Yield what a value of a query string can mean: people type a token there as it is.

    A plus is a space in forms, but a plus in tokens in base64.
    """
    yield value
    yield unquote_to_bytes(value)
    yield unquote_to_bytes(value.replace(b"+", b" "))
