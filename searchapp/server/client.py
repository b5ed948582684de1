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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchapp import __version__, fetch
from searchapp.errors import EngineError, LibraryError, QueryError, SearchAppError
from searchapp.server.address import is_free, log_path, socket_path, turn
from searchapp.types import Hit, Query, SearchOptions

COMMAND = [sys.executable, "-m", "searchapp.server"]
START_SECONDS = 300.0  # until the process listens; its engine may start after that
ANSWER_SECONDS = 900.0
BUSY, CONFLICT = 503, 409
PICTURE = "the picture"  # what a server calls a picture, of which it knows no name


@dataclass(frozen=True, slots=True)
class Residence:
    """Where a resident process is to be found or started, and how it is started."""

    library: Path  # absolute
    keep_alive: float = 15.0  # minutes that it stays with nothing to do
    engine: str | None = None  # URL of a remote engine
    api_key: str | None = None


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("searchapp", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def search(
    residence: Residence, query: Query, options: SearchOptions, tell: Callable[[str], None]
) -> list[Hit]:
    """Search by the resident process, started where there is none; tell what takes a while.

    Errors are those of Library.search, and EngineError where the process cannot be started.
    """
    if not (residence.library / "catalog.db").exists():
        raise LibraryError(
            f"no library at {residence.library}; `searchapp index FOLDER` makes one there, "
            "--library DIR names another"
        )
    if query.modality is None:
        raise QueryError("nothing to look for; give a text, --image FILE, or both")
    fields = _fields(query, options)
    picture = None if query.image is None else fetch.read(query.image)
    deadline, told = time.monotonic() + ANSWER_SECONDS, False
    while True:
        _ensure(residence, tell)
        try:
            status, answer = _post(residence.library, "/api/search", fields, picture)
        except (OSError, http.client.HTTPException):  # it left, or died, just now
            status, answer = BUSY, {"detail": "the resident process went away"}
        if status == 200:
            return [_hit(found) for found in answer["hits"]]
        if status == CONFLICT:
            stop(residence.library)
        elif status != BUSY or time.monotonic() > deadline:
            raise _error(answer, query)
        elif not told and "starting" in str(answer.get("detail")):
            tell(str(answer["detail"]))
            told = True
        time.sleep(0.05)


def info(library: Path) -> dict[str, Any] | None:
    """Return what the resident process says of itself; None where there is none."""
    try:
        status, answer = _request(library, "GET", "/api/resident", timeout=5)
    except (OSError, http.client.HTTPException):
        return None
    return answer if status == 200 else None


def stop(library: Path) -> bool:
    """Ask the resident process to leave, and wait until it has; False where there was none."""
    running = info(library)
    if running is None:
        return False
    with suppress(OSError, http.client.HTTPException):  # it may leave before it answers
        _request(library, "POST", "/api/stop", timeout=5)
    for _ in range(200):
        if is_free(library):
            return True
        time.sleep(0.05)
    raise EngineError(f"the resident process {running['pid']} does not leave; kill it")


def _ensure(residence: Residence, tell: Callable[[str], None]) -> None:
    """Return once a resident process listens. Of several who find none, one starts it."""
    if _listens(residence.library):
        return
    with turn(residence.library, "starting"):
        if not _listens(residence.library):
            tell("starting the resident process ...")
            _start(residence)


def _start(residence: Residence) -> None:
    log = log_path(residence.library)
    arguments = ["--library", str(residence.library), "--keep-alive", str(residence.keep_alive)]
    environment = dict(os.environ)
    if residence.engine:
        arguments += ["--engine", residence.engine]
    if residence.api_key:
        environment["SEARCHAPP_API_KEY"] = residence.api_key  # other users can read arguments
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, env=environment, cwd=residence.library,
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while not _listens(residence.library):
        if process.poll() is not None or time.monotonic() > deadline:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            said = lines[-1].removeprefix("searchapp: ") if lines else "it said nothing"
            raise EngineError(
                f"the resident process did not start: {said} (see {log}); "
                "--no-daemon answers without it"
            )
        time.sleep(0.02)


def _listens(library: Path) -> bool:
    connection = _Connection(socket_path(library), timeout=5)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def _fields(query: Query, options: SearchOptions) -> dict[str, Any]:
    folder = options.folder
    return {
        "text": query.text,
        "count": options.count,
        "offset": options.offset,
        "folder": os.path.abspath(folder.expanduser()) if folder else None,  # noqa: PTH100
        "after": options.after,
        "before": options.before,
        "min_score": options.min_score,
        "collection": options.collection,
        "model": _absolute(options.model),
        "trust_remote_code": options.trust_remote_code,
        "truncate": options.truncate,
        "one_prompt": True,
    }


def _absolute(model: str | None) -> str | None:
    """Return a model's folder or file as it is called from anywhere; a name as it is."""
    if model is None or not Path(model).expanduser().exists():
        return model
    return os.path.abspath(Path(model).expanduser())  # noqa: PTH100


def _post(
    library: Path, path: str, fields: dict[str, Any], picture: bytes | None
) -> tuple[int, dict[str, Any]]:
    if picture is None:
        return _request(library, "POST", path, json.dumps(fields).encode(), "application/json")
    boundary = uuid.uuid4().hex
    body = bytearray()
    for name, value in {**fields, "image": picture}.items():
        if value is None:
            continue
        file = '; filename="image"' if name == "image" else ""
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n'.encode()
        body += b"\r\n" + (value if isinstance(value, bytes) else str(value).encode()) + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    kind = f"multipart/form-data; boundary={boundary}"
    return _request(library, "POST", path, bytes(body), kind)


def _request(
    library: Path,
    method: str,
    path: str,
    body: bytes | None = None,
    kind: str | None = None,
    timeout: float = ANSWER_SECONDS,
) -> tuple[int, dict[str, Any]]:
    connection = _Connection(socket_path(library), timeout)
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


def _hit(found: dict[str, Any]) -> Hit:
    return Hit(
        found["path"], found["score"], found["sha256"], found["width"], found["height"],
        tuple(found["also"]), found["id"], found["taken_at"], found["camera"],
    )  # fmt: skip


def _error(answer: dict[str, Any], query: Query) -> SearchAppError:
    detail = str(answer.get("detail", "the resident process gave no reason"))
    error = SearchAppError(detail.replace(f"{PICTURE}:", f"{query.image}:", 1))
    error.exit_code = int(answer.get("exit_code", 1))
    return error
