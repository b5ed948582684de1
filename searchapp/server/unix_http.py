"""Send HTTP requests to the resident process through the library's Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from searchapp import __version__
from searchapp.errors import EngineError
from searchapp.server.socket_path import log_path, short_socket_path

API_PREFIX = "/api/v1"
ANSWER_TIMEOUT_S = 900.0
PICTURE_KEY, MEDIA_TYPE_KEY = "picture", "media_type"  # of an answer that is a picture
FIELDS_PART = "fields"  # part of a form, with all fields of the request as JSON
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, library: Path, timeout: float) -> None:
        super().__init__("searchapp", timeout=timeout)
        self._library = library

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with short_socket_path(self._library) as path:
            self.sock.connect(path)


def is_listening(library: Path) -> bool:
    """Return whether a resident process accepts connections for a library.

    Raises PermissionError if only another user can connect.
    """
    connection = _UnixConnection(library, timeout=5)
    try:
        connection.connect()
    except PermissionError:
        raise
    except OSError:
        return False
    finally:
        connection.close()
    return True


def send_request(
    library: Path,
    method: str,
    path: str,
    body: bytes | None = None,
    media_type: str | None = None,
    timeout_s: float = ANSWER_TIMEOUT_S,
    headers: Mapping[str, str] = NO_HEADERS,
) -> tuple[int, dict[str, Any]]:
    """Send a request, and return the status and the JSON object of the answer.

    Raises OSError if there is no connection or it breaks, IncompleteRead if it breaks within the
    answer, and EngineError if the answer is complete but no JSON object.
    """
    status, _, content = _exchange(library, method, path, body, media_type, timeout_s, headers)
    return status, _parse_object(library, path, status, content)


def get_object(
    library: Path, path: str, headers: Mapping[str, str] = NO_HEADERS
) -> tuple[int, dict[str, Any]]:
    """Get a JSON object; return the status and the object, as send_request does."""
    return send_request(library, "GET", path, headers=headers)


def get_picture(
    library: Path, path: str, headers: Mapping[str, str] = NO_HEADERS
) -> tuple[int, dict[str, Any]]:
    """Get a picture; return the status, and the picture in PICTURE_KEY or else the JSON object.

    Raises the errors of send_request.
    """
    status, media_type, content = _exchange(library, "GET", path, headers=headers)
    if status == 200 and media_type.startswith("image/"):
        return status, {PICTURE_KEY: content, MEDIA_TYPE_KEY: media_type}
    return status, _parse_object(library, path, status, content)


def _exchange(
    library: Path,
    method: str,
    path: str,
    body: bytes | None = None,
    media_type: str | None = None,
    timeout_s: float = ANSWER_TIMEOUT_S,
    headers: Mapping[str, str] = NO_HEADERS,
) -> tuple[int, str, bytes]:
    """Send a request, and return the status, media type and content of the answer."""
    connection = _UnixConnection(library, timeout_s)
    all_headers = {"X-Searchapp-Version": __version__, **headers}
    if media_type:
        all_headers["Content-Type"] = media_type
    try:
        connection.request(method, path, body, all_headers)
        response = connection.getresponse()
        return response.status, response.headers.get_content_type(), response.read()
    except (http.client.RemoteDisconnected, http.client.IncompleteRead):
        raise
    except http.client.HTTPException as error:
        raise _make_unreadable_error(library, path, None, error) from error
    finally:
        connection.close()


def _parse_object(library: Path, path: str, status: int, content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
        if not isinstance(answer, dict):
            raise ValueError("it is not an object")
    except ValueError as error:
        raise _make_unreadable_error(library, path, status, error) from error
    return answer


def _make_unreadable_error(
    library: Path, path: str, status: int | None, error: Exception
) -> EngineError:
    return EngineError(
        f"the answer of the resident process to {path} cannot be read (status {status}: "
        f"{error!r}). See its log file {log_path(library)}, or use --no-daemon."
    )


def post_fields(
    library: Path,
    path: str,
    fields: dict[str, Any],
    pictures: dict[str, bytes],
    headers: Mapping[str, str] = NO_HEADERS,
) -> tuple[int, dict[str, Any]]:
    """Post fields as JSON, or as a multipart form of JSON and pictures if there are pictures.

    The JSON is ASCII, so it holds any text, also a path that is not UTF-8.
    pictures: the bytes of each picture, by the name of its multipart form part.
    Returns and raises as send_request does.
    """
    text = json.dumps(fields).encode("ascii")
    if not pictures:
        return send_request(library, "POST", path, text, "application/json", headers=headers)
    boundary = uuid.uuid4().hex
    body = bytearray()
    for name, value in {FIELDS_PART: text, **pictures}.items():
        filename = '; filename="picture"' if name in pictures else ""
        body += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n'.encode()
        )
        body += b"\r\n" + value + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    media_type = f"multipart/form-data; boundary={boundary}"
    return send_request(library, "POST", path, bytes(body), media_type, headers=headers)
