"""Connections to Milvus, through pymilvus, which fails in many words: stated here in one."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from searchapp.errors import VectorStoreError
from searchapp.files.extras import install_hint
from searchapp.vectors.address import TOKEN_VARIABLE, MilvusAddress

BUSY_MESSAGE = (
    "{} is open in another process, and Milvus Lite allows one: try again when its index, check or "
    "query has ended. Several at once need a server of Milvus"
)
CONNECT_TIMEOUT_S = 10.0  # seconds
REFUSED_RETRY_S = 2.0  # seconds, that a server which refuses connections may just be starting
GRPC_OPTIONS = {  # a server that is back is noticed soon
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 2000,
}
COLLECTION_NOT_FOUND_CODE = 100  # the code of a collection that is not there
DENIED_PHRASES = ("unauthenticated", "permission", "auth check", "privilege")
UNREACHABLE_PHRASES = (
    "unavailable", "timeout", "deadline", "fail connecting", "connection refused",
    "open local milvus failed",
)  # fmt: skip
Result = TypeVar("Result")

_tokens_by_server: dict[str, str] = {}  # by server: given in this process, and kept nowhere else
_connections: dict[tuple[str, str], _SharedClient] = {}
_lock = threading.Lock()


class CollectionMissingError(VectorStoreError):
    """Say that a collection is not in Milvus any more."""


class MilvusUnreachableError(VectorStoreError):
    """Say that Milvus cannot be reached, or took too long."""


class _SharedClient:
    """One connection of this process, which several use."""

    def __init__(self, client: Any) -> None:
        self.client, self.user_count = client, 0


def remember_token(address: MilvusAddress) -> None:
    """Use the token that an address came with for its server, as long as this process lives."""
    if address.token:
        _tokens_by_server[address.server] = address.token


def connect(address: MilvusAddress) -> Any:
    """Return a client of pymilvus, which others in this process may use, too; see disconnect.

    Errors: Unanswered, or VectorsError where that can never be.
    """
    key = (address.server, address.database)
    with _lock:
        if key not in _connections:
            _connections[key] = _SharedClient(_create_client(address))
        _connections[key].user_count += 1
        return _connections[key].client


def disconnect(address: MilvusAddress) -> None:
    """Give a client back; a file of Milvus Lite is free for others when all have."""
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
    """Return what Milvus answers; raise Lost, Unanswered or VectorsError."""
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        return request()
    except MilvusException as error:
        raise _convert_error(address, str(error.message or error), error.code) from error
    except grpc.RpcError as error:  # which pymilvus does not try again
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
            f"Milvus needs pymilvus: {install_hint('milvus')} ({error})"
        ) from error
    # They print what they raise as well.
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
            time.sleep(0.2)


def _check_lite_file(file: Path) -> None:
    """Say what Milvus Lite would not: that its file is somebody else's, or no file of its own."""
    try:
        import fcntl

        import milvus_lite  # noqa: F401
    except ImportError as error:
        raise VectorStoreError(
            f"a file of Milvus needs Milvus Lite: {install_hint('milvus')} ({error})"
        ) from error
    if file.is_file():
        raise VectorStoreError(f"{file} is a file; Milvus Lite makes a folder of that name")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock, end = file / "LOCK", time.monotonic() + CONNECT_TIMEOUT_S
        while lock.exists():
            try:
                with lock.open("r+b") as opened:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise MilvusUnreachableError(BUSY_MESSAGE.format(file)) from error
                time.sleep(0.1)
    except OSError as error:
        raise VectorStoreError(
            f"{file} cannot be used by Milvus: {error.strerror or error}"
        ) from error


def _convert_error(address: MilvusAddress, message: str, code: object = None) -> VectorStoreError:
    message = " ".join(message.split())
    lowered = message.lower()
    if (
        code == COLLECTION_NOT_FOUND_CODE
        or "collection not found" in lowered
        or "can't find collection" in lowered
    ):
        return CollectionMissingError(
            f"the collection is not in Milvus at {address.display_name} any more ({message}); "
            "`searchapp index FOLDER` or `searchapp check --repair` sends it again, and embeds "
            "nothing"
        )
    if any(word in lowered for word in DENIED_PHRASES):
        return VectorStoreError(
            f"Milvus at {address.display_name} asks for a user or token that it knows: set {TOKEN_VARIABLE} to "
            f"TOKEN or USER:PASSWORD ({message})"
        )
    if any(word in lowered for word in UNREACHABLE_PHRASES):
        return MilvusUnreachableError(
            f"Milvus at {address.display_name} does not answer ({message}); start it, or do without: "
            "`searchapp move faiss`"
        )
    return VectorStoreError(
        f"Milvus at {address.display_name} cannot do that: {message or 'it does not say why'}"
    )
