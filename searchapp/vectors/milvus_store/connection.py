"""Connect to Milvus through pymilvus, and turn its errors into one-line messages."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from searchapp.errors import VectorStoreError
from searchapp.files.enter_path import find_entered
from searchapp.files.extras import install_hint
from searchapp.vectors.address import TOKEN_VARIABLE, MilvusAddress

BUSY_MESSAGE = (
    "{} is open in another process, and Milvus Lite allows only one. Try again when its index, "
    "check or query has ended, or use a Milvus server."
)
CONNECT_TIMEOUT_S = 10.0
REFUSED_RETRY_S = 2.0  # a server that refuses connections may still be starting
GRPC_OPTIONS = {  # reconnect within seconds after a server restart
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 2000,
}
COLLECTION_NOT_FOUND_CODE = 100  # a Milvus error code
DENIED_PHRASES = ("unauthenticated", "permission", "auth check", "privilege")
UNREACHABLE_PHRASES = (
    "unavailable", "timeout", "deadline", "fail connecting", "connection refused",
    "open local milvus failed",
)  # fmt: skip
Result = TypeVar("Result")

# Tokens live in this process only: they are never written to a file.
_tokens_by_server: dict[str, str] = {}
_connections: dict[tuple[str, str], _SharedClient] = {}
_lock = threading.Lock()

logger = logging.getLogger(__name__)


class CollectionMissingError(VectorStoreError):
    """Report that a Milvus collection no longer exists."""


class MilvusUnreachableError(VectorStoreError):
    """Report that Milvus cannot be reached, or that a request timed out."""


class _SharedClient:
    """A pymilvus client with the number of its users in this process."""

    def __init__(self, client: Any) -> None:
        self.client, self.user_count = client, 0


def remember_token(address: MilvusAddress) -> None:
    """Remember the token of an address for its server until this process ends."""
    if address.token:
        _tokens_by_server[address.server] = address.token


def connect(address: MilvusAddress) -> Any:
    """Return a pymilvus client, shared in this process. Call disconnect() after use.

    Raises MilvusUnreachableError if Milvus does not answer; VectorStoreError for other errors.
    """
    key = (address.server, address.database)
    with _lock:
        if key not in _connections:
            _connections[key] = _SharedClient(_create_client(address))
        _connections[key].user_count += 1
        return _connections[key].client


def disconnect(address: MilvusAddress) -> None:
    """Release the client of an address; its last release closes a Milvus Lite file."""
    key = (address.server, address.database)
    with _lock:
        shared = _connections[key]
        shared.user_count -= 1
        if shared.user_count:
            return
        del _connections[key]
        with suppress(Exception):
            shared.client.close()
        if address.is_lite:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(address.server)


def call_milvus(address: MilvusAddress, request: Callable[[], Result]) -> Result:
    """Run a request to Milvus and return its result; convert pymilvus errors.

    Raises CollectionMissingError, MilvusUnreachableError or VectorStoreError.
    """
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        return request()
    except MilvusException as error:
        raise _convert_error(address, str(error.message or error), error.code) from error
    except grpc.RpcError as error:  # pymilvus does not retry or convert these.
        code = error.code() if isinstance(error, grpc.Call) else "no answer"
        raise _convert_error(
            address, f"{code}: timeout" if "DEADLINE" in str(code) else str(code)
        ) from error


def _create_client(address: MilvusAddress) -> Any:
    try:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException
    except ImportError as error:
        raise VectorStoreError(
            f"pymilvus cannot be imported ({error}). Install it: {install_hint('milvus')}"
        ) from error
    # These loggers print each error that is also raised.
    for name in ("pymilvus", "pymilvus.milvus_client", "milvus_lite", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if address.is_lite:
        _check_lite_file(Path(address.server))
    token = (
        address.token or _tokens_by_server.get(address.server) or os.environ.get(TOKEN_VARIABLE, "")
    )
    end = time.monotonic() + (0 if address.is_lite else REFUSED_RETRY_S)
    while True:
        try:
            return MilvusClient(
                address.server, token=token, db_name=address.database, timeout=CONNECT_TIMEOUT_S,
                grpc_options=GRPC_OPTIONS,
            )  # fmt: skip
        except MilvusException as error:
            converted = _convert_error(address, str(error.message or error), error.code)
            if not isinstance(converted, MilvusUnreachableError) or time.monotonic() > end:
                raise converted from error
            logger.info("Milvus at %s does not answer yet; trying again", address.display_name)
            time.sleep(0.2)


def _check_lite_file(file: Path) -> None:
    """Raise VectorStoreError if Milvus Lite cannot open a file, with the reason.

    Waits up to CONNECT_TIMEOUT_S while another process has the file open. Milvus Lite itself does
    not report these reasons.
    """
    try:
        import fcntl

        import milvus_lite  # noqa: F401
    except ImportError as error:
        raise VectorStoreError(
            f"Milvus Lite cannot be imported ({error}). Install it: {install_hint('milvus')}"
        ) from error
    state = find_entered(file, VectorStoreError)
    if state is not None and not stat.S_ISDIR(state.st_mode):
        raise VectorStoreError(
            f"{file} is a file, but Milvus Lite stores its data in a folder. "
            "Use a name that does not exist yet."
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock, end = file / "LOCK", time.monotonic() + CONNECT_TIMEOUT_S
        is_waiting = False
        while lock.exists():
            try:
                with lock.open("r+b") as opened:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise MilvusUnreachableError(BUSY_MESSAGE.format(file)) from error
                if not is_waiting:
                    logger.info(
                        "Waiting for another process to close the Milvus Lite file %s", file
                    )
                    is_waiting = True
                time.sleep(0.1)
    except OSError as error:
        raise VectorStoreError(
            f"Milvus Lite cannot use {file}: {error.strerror or error}"
        ) from error


def _convert_error(address: MilvusAddress, message: str, code: object = None) -> VectorStoreError:
    """Convert a message of Milvus to an error that says what the user can do."""
    message = " ".join(message.split())
    lowered = message.lower()
    if (
        code == COLLECTION_NOT_FOUND_CODE
        or "collection not found" in lowered
        or "can't find collection" in lowered
    ):
        return CollectionMissingError(
            f"the collection no longer exists in Milvus at {address.display_name} ({message}). "
            "Run `searchapp index FOLDER` or `searchapp check --repair` to send its vectors "
            "again; nothing is embedded again."
        )
    if any(word in lowered for word in DENIED_PHRASES):
        return VectorStoreError(
            f"Milvus at {address.display_name} refuses the user or token ({message}). "
            f"Set {TOKEN_VARIABLE} to TOKEN or USER:PASSWORD."
        )
    if any(word in lowered for word in UNREACHABLE_PHRASES):
        return MilvusUnreachableError(
            f"Milvus at {address.display_name} does not answer ({message}). "
            "Start it, or run `searchapp move faiss`."
        )
    return VectorStoreError(
        f"Milvus at {address.display_name} reports an error: {message or 'no reason given'}. "
        "Look in the log of Milvus"
    )
