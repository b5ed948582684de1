"""Send HTTP requests to the resident process through the library's Unix socket."""

from __future__ import annotations

import http.client
import json
import socket
import uuid
from pathlib import Path
from typing import Any

from searchapp import __version__
from searchapp.server.socket_path import short_socket_path

ANSWER_TIMEOUT_S = 900.0


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
) -> tuple[int, dict[str, Any]]:
    """Send a request, and return the status and the JSON object of the answer.

    Raises OSError if there is no connection, and HTTPException if the answer is incomplete or not
    JSON.
    """
    connection = _UnixConnection(library, timeout_s)
    headers = {"X-Searchapp-Version": __version__}
    if media_type:
        headers["Content-Type"] = media_type
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read() or b"{}")
        return response.status, answer
    except ValueError as error:
        raise http.client.HTTPException(
            f"the answer of the resident process is not JSON: {error}"
        ) from error
    finally:
        connection.close()


def post_fields(
    library: Path, path: str, fields: dict[str, Any], pictures: dict[str, bytes]
) -> tuple[int, dict[str, Any]]:
    """Post fields as JSON, or as a multipart form if there are pictures.

    pictures: the bytes of each picture, by the name of its multipart form part.
    Returns and raises as send_request does.
    """
    if not pictures:
        return send_request(library, "POST", path, json.dumps(fields).encode(), "application/json")
    boundary = uuid.uuid4().hex
    body = bytearray()
    for name, value in {**fields, **pictures}.items():
        if value is None:
            continue
        if isinstance(value, (dict, list, tuple)):
            value = json.dumps(value)
        filename = '; filename="picture"' if name in pictures else ""
        body += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n'.encode()
        )
        body += b"\r\n" + (value if isinstance(value, bytes) else str(value).encode()) + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    media_type = f"multipart/form-data; boundary={boundary}"
    return send_request(library, "POST", path, bytes(body), media_type)
