"""Client of the resident process: searches, requests, status and stop.

A warm query must be faster than the import of an engine, so this module imports nothing heavy.
"""

from __future__ import annotations

import http.client
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from searchapp.errors import EngineError, SearchAppError, error_from_dict
from searchapp.files.library_folder import require_library
from searchapp.server.resident_lock import (
    LockHolder,
    ResidentUnavailableError,
    read_lock_holder,
)
from searchapp.server.search_fields import SearchForm, format_options
from searchapp.server.socket_path import log_path
from searchapp.server.start_options import make_option_headers
from searchapp.server.start_resident import ResidentConfig, ensure_running
from searchapp.server.unix_http import ANSWER_TIMEOUT_S, API_PREFIX, post_fields, send_request
from searchapp.types import (
    Example,
    Hit,
    Query,
    SavedSearch,
    SearchOptions,
    SearchQuestion,
    SearchResult,
    Term,
)
from searchapp.types.saved_search import normalize_name

logger = logging.getLogger(__name__)
STATUS_BUSY, STATUS_CONFLICT = 503, 409
MAX_DEATHS = 3  # per request: the process of a library can be stopped by its other commands
STOP_TIMEOUT_S = 10.0  # The process itself takes at most 7 seconds; see resident.py.
PICTURE_PLACEHOLDER = "the picture"  # name of a picture in the server's messages


class ResidentDiedError(Exception):
    """The connection to the resident process broke too often during one request."""


def search(
    config: ResidentConfig,
    query: Query | Sequence[Term],
    options: SearchOptions,
    notify: Callable[[str], None],
    examples: Sequence[Example] = (),
) -> SearchResult:
    """Search in the resident process; start the process if it does not run.

    notify: called with a line of text before each slow step.
    Raises the errors of Library.find, and EngineError if the process does not start.
    """
    require_library(config.library_folder)
    request = SearchForm.read(SearchQuestion(query, options, examples))
    return _post_search(config, request.body, request.pictures, request.terms, notify)


def search_saved(
    config: ResidentConfig, name: str, changes: Mapping[str, Any], notify: Callable[[str], None]
) -> SearchResult:
    """Run a saved search in the resident process, as search() does.

    changes: options that replace those of the saved search, by their names.
    Raises the errors of Library.find_saved, and EngineError if the process does not start.
    """
    require_library(config.library_folder)
    body = {**format_options(changes), "saved": name}
    return _post_search(config, body, {}, (), notify)


def find_saved(library: Path, name: str) -> SavedSearch | None:
    """Return a saved search from the resident process, which is faster than opening the catalog.

    Return None if no process answers, or if it knows no saved search with this name.
    """
    normalized = normalize_name(name)
    try:
        _, answer = send_request(library, "GET", f"{API_PREFIX}/saved", timeout_s=5)
        for values in answer["searches"]:
            if values["name"] == normalized:
                for term in values["terms"]:
                    del term["image_id"]
                return SavedSearch.from_dict(values)
    except (OSError, EngineError, KeyError, TypeError, http.client.HTTPException) as error:
        logger.debug("The resident process did not answer with a saved search: %r", error)
    return None


def _post_search(
    config: ResidentConfig,
    body: dict[str, Any],
    pictures: dict[str, bytes],
    terms: Sequence[Term],
    notify: Callable[[str], None],
) -> SearchResult:
    """Post a search to the resident process; terms: its query, for the messages of errors."""
    return read_result(post_form(config, "search", body, pictures, terms, notify))


def post_form(
    config: ResidentConfig,
    name: str,
    body: dict[str, Any],
    pictures: dict[str, bytes],
    terms: Sequence[Term],
    notify: Callable[[str], None],
) -> dict[str, Any]:
    """Post fields to a route of the resident process; return the answer, or raise its error."""
    try:
        status, answer = request_resident(config, f"{API_PREFIX}/{name}", body, pictures, notify)
    except ResidentDiedError as error:
        raise EngineError(
            f"{error}. Its log is {log_path(config.library_folder)}. Use --no-daemon to search "
            "without it."
        ) from error
    if status != 200:
        raise read_error(answer, terms)
    return answer


def read_result(answer: Mapping[str, Any]) -> SearchResult:
    """Return the result in an answer to a search."""
    hits = tuple(
        Hit.from_dict({**hit_fields, "image_id": hit_fields["id"]}) for hit_fields in answer["hits"]
    )
    return SearchResult(hits, answer["good_match"], tuple(answer["warnings"]))


def request_resident(
    config: ResidentConfig,
    path: str,
    fields: dict[str, Any],
    pictures: dict[str, bytes],
    notify: Callable[[str], None],
    max_deaths: int = MAX_DEATHS,
) -> tuple[int, dict[str, Any]]:
    """Post fields and pictures to the resident process: see repeat_request."""

    def send(headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        return post_fields(config.library_folder, path, fields, pictures, headers)

    return repeat_request(config, path, send, notify, max_deaths)


def repeat_request(
    config: ResidentConfig,
    path: str,
    send: Callable[[Mapping[str, str]], tuple[int, dict[str, Any]]],
    notify: Callable[[str], None],
    max_deaths: int = MAX_DEATHS,
) -> tuple[int, dict[str, Any]]:
    """Send a request to the resident process; return the HTTP status and the JSON of the answer.

    send: sends the request once, with headers.
    The process is started if it does not run.
    While the process is busy or starts, the request is repeated for at most ANSWER_TIMEOUT_S. If
    the connection breaks, it is repeated too, but at most max_deaths times. A complete answer is
    never a reason to repeat the request, whatever it says.
    Raises EngineError if the process does not start, or does not give a complete answer in
    ANSWER_TIMEOUT_S, ResidentUnavailableError if this user cannot use one, and ResidentDiedError
    if the connection breaks more often than max_deaths.
    """
    headers = make_option_headers(config.engine_url, config.api_key, config.keep_alive_min)
    deadline, is_notified, death_count = time.monotonic() + ANSWER_TIMEOUT_S, False, 0
    while True:
        ensure_running(config, notify)
        try:
            status, answer = send(headers)
        except TimeoutError as error:
            raise EngineError(
                f"the resident process did not answer within {ANSWER_TIMEOUT_S:.0f} seconds. Run "
                "`searchapp stop`, or use --no-daemon."
            ) from error
        except (OSError, http.client.IncompleteRead) as error:
            # The process stopped or died just now.
            status = STATUS_BUSY
            answer = {"detail": "the resident process ended before it answered. Try again."}
            death_count += 1
            logger.info("The resident process did not answer the request %s: %r", path, error)
            if death_count > max_deaths:
                raise ResidentDiedError(
                    f"the resident process ended {death_count} times while it handled a request"
                ) from None
        if status == STATUS_CONFLICT:
            _end_other_version(config.library_folder)
        elif status != STATUS_BUSY or time.monotonic() > deadline:
            return status, answer
        elif not is_notified and "starting" in str(answer.get("detail")):
            notify(str(answer["detail"]))
            is_notified = True
        time.sleep(0.05)


def get_resident_info(library: Path) -> dict[str, Any] | None:
    """Return process id, version and uptime of the resident process; None if none runs."""
    try:
        status, answer = send_request(library, "GET", f"{API_PREFIX}/resident", timeout_s=5)
    except (OSError, http.client.HTTPException):
        return None
    return answer if status == 200 else None


def stop_resident(library: Path) -> LockHolder | None:
    """Stop the resident process or `searchapp serve`, and wait until it has ended.

    Return the process that was stopped, or None if none runs. Raises EngineError if the process
    does not answer, or still runs after STOP_TIMEOUT_S.
    """
    holder = read_lock_holder(library)
    if holder is None:
        return None
    logger.info("Stopping %s", holder)
    deadline, is_asked = time.monotonic() + STOP_TIMEOUT_S, False
    while time.monotonic() < deadline:
        if not is_asked:  # A process that starts or ends does not listen, but has the lock.
            try:
                status, _ = send_request(library, "POST", f"{API_PREFIX}/stop", timeout_s=5)
                is_asked = status == 200
            except PermissionError as error:
                raise EngineError(f"{holder} belongs to another user.") from error
            except (OSError, http.client.HTTPException) as error:
                logger.debug("%s did not answer: %r", holder, error)
        current = read_lock_holder(library)
        if current is None or current.pid not in (None, holder.pid):
            return holder
        time.sleep(0.05)
    problem = "does not stop" if is_asked else "does not answer"
    remedy = f" End it with `kill -9 {holder.pid}`." if holder.pid is not None else ""
    raise EngineError(f"{holder} {problem}.{remedy}")


def _end_other_version(library: Path) -> None:
    """Stop a background process of another version of searchapp, so that a new one can start.

    Raises ResidentUnavailableError if it is `searchapp serve`, which only its user may end.
    """
    holder = read_lock_holder(library)
    if holder is not None and holder.url is not None:
        raise ResidentUnavailableError(
            f"{holder} runs another version of searchapp. Start it again to use it"
        )
    logger.info("Replacing the resident process: it runs another version of searchapp")
    stop_resident(library)


def read_error(answer: dict[str, Any], terms: Sequence[Term] = ()) -> SearchAppError:
    """Return the error in an answer of the resident process.

    terms: the query; its pictures replace PICTURE_PLACEHOLDER in the message.
    """
    detail = answer.get("detail", "the resident process gave no reason")
    pictures = [str(term.query.image) for term in terms if term.query.image is not None]
    if pictures:
        detail = str(detail).replace(f"{PICTURE_PLACEHOLDER}:", f"{' or '.join(pictures)}:", 1)
    return error_from_dict({**answer, "detail": detail})
