"""One server over HTTP: asked again while that may help, and its answers put into words."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from searchapp.engines.base import reason_of
from searchapp.errors import EngineError

ITEMS_FAULT = (400, 413, 422)  # the server does not take what it was given
AGAIN = (408, 425, 429, 500, 502, 503, 504)  # what may be better the next time
TRIES = 3  # after so many failures, the server is asked whether it fails at something known, too


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, in seconds."""

    total: float = 60.0  # from the first try of a request to the start of its last
    first: float = 0.5  # pause after the first try, which doubles with every other
    longest: float = 10.0  # pause
    answer: float = 30.0  # for one answer


class Refused(Exception):
    """The server is well, and does not take what it was given."""


class Wire:
    """Asks one server; from several threads at once, too."""

    def __init__(
        self, url: str, api_key: str | None, connections: int, patience: Patience, start_with: str
    ) -> None:
        """Check the address and the key; nothing is sent yet.

        start_with: the command that starts such a server, for messages. Errors: EngineError.
        """
        import httpx

        self.name, self._url = _address(url)
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise EngineError("--api-key holds characters that no key has; copy it again")
        try:
            httpx.URL(self._url)
        except httpx.InvalidURL as error:
            raise EngineError(f"--engine: {error}") from error
        self._patience, self._start_with = patience, start_with
        self._known_good: tuple[str, dict[str, Any]] | None = None
        self._leaving = threading.Event()
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(patience.answer, connect=min(5.0, patience.answer)),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=connections),
        )

    def close(self) -> None:
        """Give up what is under way, and the connections."""
        self._leaving.set()
        self._client.close()

    def remember(self, path: str, body: dict[str, Any]) -> None:
        """Note a request that went well: a server that fails at it is ill, not its input bad."""
        self._known_good = path, body

    def ask(self, path: str, body: dict[str, Any] | None = None, *, hasty: bool = False) -> Any:
        """Return the JSON that the server answers, trying again while that may help.

        hasty: where nobody answers at all, say so at once. Errors: Refused, EngineError.
        """
        import httpx

        started, pause, tries = time.monotonic(), self._patience.first, 0
        while True:
            tries, asked = tries + 1, 0.0
            try:
                response = self._once(path, body)
            except httpx.RequestError as error:
                trouble = f"no answer ({reason_of(error)})"
                if hasty and isinstance(error, httpx.ConnectError | httpx.TimeoutException):
                    raise EngineError(
                        f"{self.name}: {trouble}; check the address, and whether the server "
                        "runs: starting takes it a minute or more"
                    ) from error
            else:
                if response.status_code == 200:
                    return self._json(response, path)
                trouble = _in_words(response)
                if response.status_code not in AGAIN:
                    raise self._denied(response, path)
                if response.status_code == 500 and tries >= TRIES and self._is_well():
                    raise Refused(f"the server fails on it: {_said(response)}")
                asked = _retry_after(response.headers.get("Retry-After", ""))
            wait = max(asked, pause) * random.uniform(1.0, 1.5)
            pause = min(2 * pause, self._patience.longest)
            waited = time.monotonic() - started
            if waited + wait > self._patience.total or self._leaving.wait(wait):
                longer = f" (it asks to wait {asked:.0f} s)" if asked else ""
                times = "once" if tries == 1 else f"{tries} times in {waited:.0f} s"
                raise EngineError(
                    f"{self.name} was asked {times}; at last: {trouble}{longer}. "
                    "See to that server, and run this again"
                )

    def _once(self, path: str, body: dict[str, Any] | None) -> Any:
        if self._leaving.is_set():
            raise EngineError(f"{self.name}: the connection was closed")
        method = "GET" if body is None else "POST"
        try:
            return self._client.request(method, self._url + path, json=body)
        except RuntimeError as error:  # what httpx says of a client that was closed meanwhile
            raise EngineError(f"{self.name}: the connection was closed") from error

    def _json(self, response: Any, path: str) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise EngineError(
                f"{self.name}{path} answers something that is no JSON; is it vLLM?"
            ) from error

    def _is_well(self) -> bool:
        """Tell whether the server still does what it could do before."""
        import httpx

        if self._known_good is not None:
            with suppress(httpx.RequestError):
                return bool(self._once(*self._known_good).status_code == 200)
        return False

    def _denied(self, response: Any, path: str) -> Exception:
        """Return the error for an answer that will be the same the next time."""
        status = response.status_code
        if status in ITEMS_FAULT:
            return Refused(_said(response))
        remedy = "is it vLLM?"
        if status in (401, 403):
            remedy = "it asks for a key: give the right one with --api-key"
        elif 300 <= status < 400:
            remedy = f"it points to {response.headers.get('Location')}: give that address"
        elif status in (404, 405, 501):
            remedy = f"give the address of a server started with: {self._start_with}"
        return EngineError(f"{self.name}{path} answers {_in_words(response)}; {remedy}")


def _address(url: str) -> tuple[str, str]:
    """Return a server's address as messages show it, with no password, and in full, with no /v1."""
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise EngineError(f"--engine: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise EngineError("--engine: give an address such as http://127.0.0.1:8000")
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    shown = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return f"{parts.scheme}://{shown}{path}", f"{parts.scheme}://{parts.netloc}{path}"


def _said(response: Any) -> str:
    """Return the reason that an answer gives, in one line; empty where it gives none."""
    said: Any = response.text
    with suppress(ValueError):
        said = response.json()
        for key in ("error", "message", "detail"):  # {"error": {"message": ...}}, and the like
            said = said.get(key, said) if isinstance(said, dict) else said
    return reason_of(Exception(said)) if said else ""


def _in_words(response: Any) -> str:
    return f"{response.status_code} {_said(response) or response.reason_phrase}".strip()


def _retry_after(header: str) -> float:
    """Return the seconds that a server asks to wait: it sends a number, or a moment."""
    with suppress(ValueError):
        return min(max(0.0, float(header)), 86400.0)
    with suppress(ValueError, TypeError):
        moment = parsedate_to_datetime(header)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    return 0.0
