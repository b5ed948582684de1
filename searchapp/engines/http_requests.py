"""Send requests to a vLLM server over HTTP: retry them, and explain failed ones."""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from searchapp.engines.base import summarize_error
from searchapp.errors import EngineError
from searchapp.files.http_url import has_broken_password, parse_http_url

logger = logging.getLogger(__name__)

INPUT_FAULT_STATUSES = (400, 413, 422)  # The server rejects this input.
RETRYABLE_STATUSES = (408, 425, 429, 500, 502, 503, 504)  # A retry may succeed.
# After this many failures, a request that succeeded before is sent again. Its answer shows
# whether the input is bad or the server is broken.
TRIES_BEFORE_PROBE = 3


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait for a server, and how often to retry; all values in seconds."""

    total_s: float = 60.0  # from the first try of a request to the start of its last try
    first_pause_s: float = 0.5  # pause after the first try; it doubles with each further try
    max_pause_s: float = 10.0
    answer_timeout_s: float = 30.0  # for one answer


class RequestRefusedError(Exception):
    """The vLLM server works, but rejects the input of a request."""


class EngineHttpClient:
    """HTTP client of one vLLM server; several threads may use it at once."""

    def __init__(
        self,
        url: str,
        api_key: str | None,
        connections: int,
        retry_policy: RetryPolicy,
        start_command: str,
    ) -> None:
        """Check the form of the address and the key; send nothing yet.

        start_command: the shell command that starts a suitable server, for error messages.
        Raises EngineError if the address or the key is malformed.
        """
        import httpx

        self.name, self._url = _parse_address(url)
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            raise EngineError(
                "--api-key contains characters that no key can contain. Copy the key again."
            )
        self._retry_policy, self._start_command = retry_policy, start_command
        self._good_request: tuple[str, dict[str, Any]] | None = None
        self._closing = threading.Event()
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(
                retry_policy.answer_timeout_s, connect=min(5.0, retry_policy.answer_timeout_s)
            ),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=connections),
        )

    def close(self) -> None:
        """Cancel running requests and close the connections."""
        self._closing.set()
        self._client.close()

    def remember_good_request(self, path: str, body: dict[str, Any]) -> None:
        """Store a request that succeeded; it later shows whether the server still works."""
        self._good_request = path, body

    def count_tokens(self, model: str, prompt: str) -> int:
        """Count the tokens of a prompt with the server's tokenizer.

        Raises RequestRefusedError if the answer is no number, and the errors of request_json.
        """
        answer = self.request_json("/tokenize", {"model": model, "prompt": prompt})
        count = answer.get("count") if isinstance(answer, dict) else None
        if not isinstance(count, int):
            raise RequestRefusedError(f"the answer has no number of tokens, but {count!r}")
        return count

    def request_json(
        self, path: str, body: dict[str, Any] | None = None, *, fail_fast: bool = False
    ) -> Any:
        """Send a request; return the JSON of the answer. Retry while a retry may succeed.

        body: the JSON to send with POST; None: send GET. fail_fast: do not retry if nothing
        answers at the address. Raises RequestRefusedError if the server rejects the input,
        EngineError for every other failure.
        """
        import httpx

        started, pause, tries = time.monotonic(), self._retry_policy.first_pause_s, 0
        while True:
            tries, retry_after_s = tries + 1, 0.0
            try:
                response = self._send_once(path, body)
            except httpx.RequestError as error:
                problem = f"no answer ({summarize_error(error)})"
                if fail_fast and isinstance(error, httpx.ConnectError | httpx.TimeoutException):
                    raise EngineError(
                        f"{self.name}: {problem}. Check the address, and whether the server runs: "
                        "it needs a minute or more to start."
                    ) from error
            else:
                if response.status_code == 200:
                    return self._parse_json(response, path)
                problem = _describe_response(response)
                if response.status_code not in RETRYABLE_STATUSES:
                    raise self._make_status_error(response, path)
                if (
                    response.status_code == 500
                    and tries >= TRIES_BEFORE_PROBE
                    and self._is_healthy()
                ):
                    raise RequestRefusedError(
                        f"the server fails on this input: {_extract_reason(response)}"
                    )
                retry_after_s = _parse_retry_after(response.headers.get("Retry-After", ""))
            delay_s = max(retry_after_s, pause) * random.uniform(1.0, 1.5)
            pause = min(2 * pause, self._retry_policy.max_pause_s)
            elapsed_s = time.monotonic() - started
            if elapsed_s + delay_s > self._retry_policy.total_s or self._closing.wait(delay_s):
                retry_after_hint = (
                    f" (it asks to wait {retry_after_s:.0f} s)" if retry_after_s else ""
                )
                times = "once" if tries == 1 else f"{tries} times in {elapsed_s:.0f} s"
                raise EngineError(
                    f"{self.name} failed {times}; last problem: {problem}{retry_after_hint}. "
                    "Repair or restart that server, then run this command again."
                )
            logger.info(
                "The vLLM server at %s failed (try %d: %s); retrying in %.1f s",
                self.name,
                tries,
                problem,
                delay_s,
            )

    def _send_once(self, path: str, body: dict[str, Any] | None) -> Any:
        if self._closing.is_set():
            raise EngineError(f"{self.name}: the connection is closed")
        method = "GET" if body is None else "POST"
        try:
            return self._client.request(method, self._url + path, json=body)
        except RuntimeError as error:  # httpx raises it if another thread closed the client.
            raise EngineError(f"{self.name}: the connection is closed") from error

    def _parse_json(self, response: Any, path: str) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise EngineError(
                f"{self.name}{path}: the answer is not JSON. Check that a vLLM server runs there."
            ) from error

    def _is_healthy(self) -> bool:
        """Return whether the server still answers a request that succeeded before."""
        import httpx

        if self._good_request is not None:
            with suppress(httpx.RequestError):
                return bool(self._send_once(*self._good_request).status_code == 200)
        return False

    def _make_status_error(self, response: Any, path: str) -> Exception:
        """Return the error for an HTTP status that a retry cannot change."""
        status = response.status_code
        if status in INPUT_FAULT_STATUSES:
            return RequestRefusedError(_extract_reason(response))
        remedy = "Check that a vLLM server runs there."
        if status in (401, 403):
            remedy = "It requires a key: give the right one with --api-key."
        elif 300 <= status < 400:
            remedy = f"It redirects to {response.headers.get('Location')}: give that address."
        elif status in (404, 405, 501):
            remedy = f"Give the address of a server started with: {self._start_command}"
        return EngineError(f"{self.name}{path} answers {_describe_response(response)}. {remedy}")


def _parse_address(url: str) -> tuple[str, str]:
    """Return a server's address without password, for messages, and the complete address.

    Both addresses end without /v1. Raises EngineError if `url` is not an HTTP address.
    """
    try:
        parsed = parse_http_url(url.strip())
        is_broken = has_broken_password(url)
    except ValueError as error:
        raise EngineError(
            f"--engine: {error}. Give an address such as http://127.0.0.1:8000."
        ) from error
    if is_broken:
        raise EngineError(
            "--engine: the address has an @ or # after its host. In a user or password, write / as "
            "%2F, ? as %3F, # as %23 and @ as %40."
        )
    path = parsed.path.rstrip("/").removesuffix("/v1").rstrip("/")
    complete = parsed.copy_with(path=path or "/", query=None)
    shown = complete.copy_with(userinfo=b"")
    return str(shown).rstrip("/"), str(complete).rstrip("/")


def _extract_reason(response: Any) -> str:
    """Return the reason in a server's error answer, as one line; empty if it has no reason."""
    reason: Any = response.text
    with suppress(ValueError):
        reason = response.json()
        for key in ("error", "message", "detail"):  # such as {"error": {"message": ...}}
            reason = reason.get(key, reason) if isinstance(reason, dict) else reason
    return summarize_error(Exception(reason)) if reason else ""


def _describe_response(response: Any) -> str:
    return f"{response.status_code} {_extract_reason(response) or response.reason_phrase}".strip()


def _parse_retry_after(header: str) -> float:
    """Return the seconds to wait from a Retry-After header: a number of seconds, or a date.

    0.0 if the header has another form: https://httpwg.org/specs/rfc9110.html#field.retry-after
    """
    with suppress(ValueError):
        return min(max(0.0, float(header)), 86400.0)
    with suppress(ValueError, TypeError):
        date = parsedate_to_datetime(header)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    return 0.0
