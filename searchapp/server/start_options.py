"""Options of a command for a resident process that runs already, as HTTP headers.

A command sends only options that the user gave. The process follows them, or refuses the request:
it never ignores them. The web cannot send them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, unquote

from searchapp.errors import EngineError, QueryError

ENGINE_HEADER = "X-Searchapp-Engine"
API_KEY_HEADER = "X-Searchapp-Api-Key"
KEEP_ALIVE_HEADER = "X-Searchapp-Keep-Alive"


@dataclass(frozen=True, slots=True)
class EngineOrigin:
    """Where a process embeds: its own vLLM if url is None, or a vLLM server."""

    url: str | None = None
    api_key: str | None = None


def make_option_headers(
    engine_url: str | None, api_key: str | None, keep_alive_min: float | None
) -> dict[str, str]:
    """Return the headers that state the options of a command; None: the user gave no such option.

    The key of a vLLM server is sent as a digest.
    """
    headers = {}
    if engine_url is not None:
        headers[ENGINE_HEADER] = quote(engine_url, errors="surrogateescape")
        if api_key is not None:
            headers[API_KEY_HEADER] = _digest_key(api_key)
    if keep_alive_min is not None:
        headers[KEEP_ALIVE_HEADER] = repr(keep_alive_min)
    return headers


def check_engine(headers: Mapping[str, str], running: EngineOrigin) -> None:
    """Raise EngineError if a command asks for another engine than the running one."""
    if ENGINE_HEADER not in headers:
        return
    requested_url = unquote(headers[ENGINE_HEADER], errors="surrogateescape")
    key = headers.get(API_KEY_HEADER)
    advice = "Run `searchapp stop`, and repeat the command; or use --no-daemon."
    if running.url is None or requested_url.rstrip("/") != running.url.rstrip("/"):
        origin = f"on the server {running.url}" if running.url else "with a vLLM of its own"
        raise EngineError(
            f"--engine {requested_url} has no effect: a resident process of this library runs "
            f"already, and it embeds {origin}. {advice}"
        )
    if key is not None and key != _digest_key(running.api_key or ""):
        raise EngineError(
            "--api-key has no effect: a resident process of this library runs already, with "
            f"another key. {advice}"
        )


def read_keep_alive(headers: Mapping[str, str]) -> float | None:
    """Return the idle minutes that a command asks for; None if it does not.

    Raises QueryError if the header is not a positive number.
    """
    if KEEP_ALIVE_HEADER not in headers:
        return None
    try:
        minutes = float(headers[KEEP_ALIVE_HEADER])
    except ValueError:
        minutes = math.nan
    if not minutes > 0:
        raise QueryError(f"the header {KEEP_ALIVE_HEADER} is not a positive number of minutes")
    return minutes


def _digest_key(api_key: str) -> str:
    return sha256(api_key.encode("utf-8", "surrogateescape")).hexdigest()
