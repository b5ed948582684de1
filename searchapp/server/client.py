"""Ask the resident process of a library, and start it where there is none.

Nothing heavy is imported here: a warm query is answered before Python could import an engine.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from searchapp import __version__
from searchapp.errors import (
    EngineError,
    LibraryError,
    QueryError,
    SearchAppError,
    error_from_dict,
)
from searchapp.files import fetch_url, storage
from searchapp.files.library_folder import catalog_file, require_library
from searchapp.server.socket_path import hold_lock, is_lock_free, log_path, socket_path
from searchapp.types import Hit, Query, SearchOptions, SearchResult, Term
from searchapp.types.filter_values import FilterValue

SERVER_COMMAND = [sys.executable, "-m", "searchapp.server"]
START_TIMEOUT_S = 300.0  # until the process listens; its engine may start after that
ANSWER_TIMEOUT_S = 900.0
STATUS_BUSY, STATUS_CONFLICT = 503, 409
PICTURE_PLACEHOLDER = "the picture"  # what a server calls a picture, of which it knows no name


@dataclass(frozen=True, slots=True)
class ResidentConfig:
    """Where a resident process is to be found or started, and how it is started."""

    library_folder: Path  # absolute
    keep_alive_min: float = 15.0  # minutes that it stays with nothing to do
    engine_url: str | None = None  # URL of a remote engine
    api_key: str | None = None


class ResidentDiedError(Exception):
    """Say that the resident process has ended while it did what it was asked."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("searchapp", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def search(
    config: ResidentConfig,
    query: Query | Sequence[Term],
    options: SearchOptions,
    notify: Callable[[str], None],
) -> SearchResult:
    """Search by the resident process, started where there is none; tell what takes a while.

    Errors are those of Library.find, and EngineError where the process cannot be started.
    """
    require_library(config.library_folder)
    terms = [Term(query)] if isinstance(query, Query) else query
    if not terms or any(term.query.modality is None for term in terms):
        raise QueryError("nothing to look for; give a text, --image FILE, or both")
    body = _build_search_fields(terms, options)
    pictures = {
        _picture_field_name(number): fetch_url.read_query_image(term.query.image)
        for number, term in enumerate(terms)
        if term.query.image is not None
    }
    status, answer = request_resident(config, "/api/search", body, pictures, notify)
    if status != 200:
        raise read_error(answer, terms)
    hits = tuple(
        Hit.from_dict({**hit_fields, "image_id": hit_fields["id"]}) for hit_fields in answer["hits"]
    )
    return SearchResult(hits, answer["good_match"])


def request_resident(
    config: ResidentConfig,
    path: str,
    fields: dict[str, Any],
    pictures: dict[str, bytes],
    notify: Callable[[str], None],
    max_deaths: int | None = None,
) -> tuple[int, dict[str, Any]]:
    """Return the status and the answer of the resident process, started where there is none.

    deaths: how often it may die of this; by default as often as it can be started in time.
    Errors: EngineError where it cannot be started, Died.
    """
    deadline, is_notified, death_count = time.monotonic() + ANSWER_TIMEOUT_S, False, 0
    while True:
        _ensure_running(config, notify)
        try:
            status, answer = _post_form(config.library_folder, path, fields, pictures)
        except (OSError, http.client.HTTPException):  # it left, or died, just now
            status, answer = STATUS_BUSY, {"detail": "the resident process went away"}
            death_count += 1
            if max_deaths is not None and death_count > max_deaths:
                raise ResidentDiedError("the engine died of it") from None
        if status == STATUS_CONFLICT:
            stop_resident(config.library_folder)
        elif status != STATUS_BUSY or time.monotonic() > deadline:
            return status, answer
        elif not is_notified and "starting" in str(answer.get("detail")):
            notify(str(answer["detail"]))
            is_notified = True
        time.sleep(0.05)


def get_resident_info(library: Path) -> dict[str, Any] | None:
    """Return what the resident process says of itself; None where there is none."""
    try:
        status, answer = _send_request(library, "GET", "/api/resident", timeout=5)
    except (OSError, http.client.HTTPException):
        return None
    return answer if status == 200 else None


def stop_resident(library: Path) -> bool:
    """Ask the resident process to leave, and wait until it has; False where there was none."""
    resident_info = get_resident_info(library)
    if resident_info is None:
        return False
    with suppress(OSError, http.client.HTTPException):  # it may leave before it answers
        _send_request(library, "POST", "/api/stop", timeout=5)
    for _ in range(200):
        if is_lock_free(library):
            return True
        time.sleep(0.05)
    raise EngineError(f"the resident process {resident_info['pid']} does not leave; kill it")


def _ensure_running(config: ResidentConfig, notify: Callable[[str], None]) -> None:
    """Return once a resident process listens. Of several who find none, one starts it."""
    if _is_listening(config.library_folder):
        return
    with hold_lock(config.library_folder, "starting"):
        if not _is_listening(config.library_folder):
            notify("starting the resident process ...")
            _start_resident(config, notify)


def _start_resident(config: ResidentConfig, notify: Callable[[str], None]) -> None:
    log = log_path(config.library_folder)
    arguments = [
        "--library",
        str(config.library_folder),
        "--keep-alive",
        str(config.keep_alive_min),
    ]
    environment = dict(os.environ)
    if config.engine_url:
        arguments += ["--engine", config.engine_url]
    if config.api_key:
        environment["SEARCHAPP_API_KEY"] = config.api_key  # other users can read arguments
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*SERVER_COMMAND, *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, env=environment, cwd=config.library_folder,
        )  # fmt: skip
    _migrate_catalog(catalog_file(config.library_folder), notify)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _is_listening(config.library_folder):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = lines[-1].removeprefix("searchapp: ") if lines else "it said nothing"
            raise EngineError(
                f"the resident process did not start: {reason} (see {log}); "
                "--no-daemon answers without it"
            )
        time.sleep(0.02)


def _migrate_catalog(catalog: Path, notify: Callable[[str], None]) -> None:
    """Open the catalogue as the process does by now, which cannot tell that this takes long."""
    from searchapp.catalog import Catalog

    with suppress(LibraryError):  # which the process states
        Catalog.open(catalog, report=notify).close()


def _is_listening(library: Path) -> bool:
    connection = _UnixConnection(socket_path(library), timeout=5)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _picture_field_name(number: int) -> str:
    """Return how the picture of a term is called in a form."""
    return f"picture{number}"


def _build_search_fields(terms: Sequence[Term], options: SearchOptions) -> dict[str, Any]:
    folder = options.folder
    return {
        "terms": [
            {
                "text": term.query.text,
                "image": _picture_field_name(number) if term.query.image is not None else None,
                "weight": term.weight,
            }
            for number, term in enumerate(terms)
        ],
        **{field.name: _as_text(getattr(options, field.name)) for field in fields(options)},
        "folder": storage.normalize_folder(folder) if folder else None,
        "model": _resolve_model_path(options.model),
        "one_prompt": True,
    }


def _as_text(value: object) -> object:
    """Return the text of a date, a rating or a place, which the process parses again."""
    return str(value) if isinstance(value, FilterValue) else value


def _resolve_model_path(model: str | None) -> str | None:
    """Return a model's folder or file as it is called from anywhere; a name as it is."""
    if model is None or not Path(model).expanduser().exists():
        return model
    return os.path.abspath(Path(model).expanduser())  # noqa: PTH100


def _post_form(
    library: Path, path: str, fields: dict[str, Any], pictures: dict[str, bytes]
) -> tuple[int, dict[str, Any]]:
    if not pictures:
        return _send_request(library, "POST", path, json.dumps(fields).encode(), "application/json")
    boundary = uuid.uuid4().hex
    body = bytearray()
    for name, value in {**fields, **pictures}.items():
        if value is None:
            continue
        if isinstance(value, (dict, list, tuple)):
            value = json.dumps(value)
        file = '; filename="picture"' if name in pictures else ""
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n'.encode()
        body += b"\r\n" + (value if isinstance(value, bytes) else str(value).encode()) + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    return _send_request(library, "POST", path, bytes(body), kind)


def _send_request(
    library: Path,
    method: str,
    path: str,
    body: bytes | None = None,
    kind: str | None = None,
    timeout: float = ANSWER_TIMEOUT_S,
) -> tuple[int, dict[str, Any]]:
    connection = _UnixConnection(socket_path(library), timeout)
    headers = {"X-Searchapp-Version": __version__}
    if kind:
        headers["Content-Type"] = kind
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read() or b"{}")
        return response.status, answer
    except ValueError as error:
        raise http.client.HTTPException(f"no JSON: {error}") from error
    finally:
        connection.close()


def read_error(answer: dict[str, Any], terms: Sequence[Term] = ()) -> SearchAppError:
    """Return the error in an answer of the resident process; name the pictures of a query."""
    detail = answer.get("detail", "the resident process gave no reason")
    if isinstance(detail, list):  # FastAPI's list of invalid fields
        detail = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in detail)
    pictures = [str(term.query.image) for term in terms if term.query.image is not None]
    if pictures:
        detail = str(detail).replace(f"{PICTURE_PLACEHOLDER}:", f"{' or '.join(pictures)}:", 1)
    return error_from_dict({**answer, "detail": detail})
