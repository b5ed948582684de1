"""Log a browser in: a page with a form for the token, and the body that the form sends."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

from searchapp.pages.html_template import render_html

MAX_FORM_BYTES = 1 << 16
FORM_MEDIA_TYPE = b"application/x-www-form-urlencoded"


def is_page_request(scope: MutableMapping[str, Any]) -> bool:
    """Return whether a browser wants to show a page; programs do not ask for HTML."""
    return scope["method"] == "GET" and b"text/html" in _read_header(scope, b"accept")


def is_form_request(scope: MutableMapping[str, Any]) -> bool:
    """Return whether a request has the form of the login page."""
    media_type = _read_header(scope, b"content-type").partition(b";")[0].strip().lower()
    return scope["method"] == "POST" and media_type == FORM_MEDIA_TYPE


def make_query_without_token(scope: MutableMapping[str, Any]) -> str:
    """Return the query string of a request, with its question mark, without a token."""
    fields = scope["query_string"].split(b"&")
    kept = b"&".join(field for field in fields if field and not field.startswith(b"token="))
    return f"?{kept.decode('latin-1')}" if kept else ""


async def read_form(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> bytes:
    """Return the body of a login form; b"" if it is longer than any token, or incomplete."""
    body, has_more = b"", True
    while has_more:
        message = await receive()
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
        if len(body) > MAX_FORM_BYTES or message["type"] == "http.disconnect":
            return b""
    return body


def render_login_page(*, is_wrong: bool) -> tuple[bytes, dict[str, str]]:
    """Return the login page, and the headers that differ from those of other answers.

    is_wrong: whether the user has just sent a wrong token.
    """
    style = _read_style()
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-store",
        "content-security-policy": policy,
        # With no-referrer, browsers send the form with "Origin: null", as foreign pages do.
        "referrer-policy": "same-origin",
    }
    return render_html("login.html", style=_mark_safe(style), is_wrong=is_wrong).encode(), headers


def _read_header(scope: MutableMapping[str, Any], name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key.lower() == name), b"")


@cache
def _read_style() -> str:
    folder = resources.files("searchapp.pages").joinpath("templates")
    names = ("look.css", "base.css", "login.css")
    return "".join(folder.joinpath(name).read_text("utf-8") for name in names)


def _mark_safe(style: str) -> object:
    from markupsafe import Markup

    return Markup(style)
