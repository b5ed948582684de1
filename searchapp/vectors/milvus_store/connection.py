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

from searchapp.errors import VectorsError
from searchapp.files.extras import install_hint
from searchapp.vectors.address import TOKEN, Address

BUSY = (
    "{} is open in another process, and Milvus Lite allows one: try again when its index, check or "
    "query has ended. Several at once need a server of Milvus"
)
CONNECTING = 10.0  # seconds
REFUSED = 2.0  # seconds, that a server which refuses connections may just be starting
CHANNEL = {  # a server that is back is noticed soon
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 2000,
}
LOST = 100  # the code of a collection that is not there
DENIED = ("unauthenticated", "permission", "auth check", "privilege")
UNREACHABLE = (
    "unavailable", "timeout", "deadline", "fail connecting", "connection refused",
    "open local milvus failed",
)  # fmt: skip
Result = TypeVar("Result")

_tokens: dict[str, str] = {}  # by server: given in this process, and kept nowhere else
_opened: dict[tuple[str, str], _Shared] = {}
_lock = threading.Lock()


class Lost(VectorsError):
    """Say that a collection is not in Milvus any more."""


class Unanswered(VectorsError):
    """Say that Milvus cannot be reached, or took too long."""


class _Shared:
    """One connection of this process, which several use."""

    def __init__(self, client: Any) -> None:
        self.client, self.users = client, 0


def remember(address: Address) -> None:
    """Use the token that an address came with for its server, as long as this process lives."""
    if address.token:
        _tokens[address.server] = address.token


def connect(address: Address) -> Any:
    """Return a client of pymilvus, which others in this process may use, too; see disconnect.

    Errors: Unanswered, or VectorsError where that can never be.
    """
    key = (address.server, address.database)
    with _lock:
        if key not in _opened:
            _opened[key] = _Shared(_connected(address))
        _opened[key].users += 1
        return _opened[key].client


def disconnect(address: Address) -> None:
    """Give a client back; a file of Milvus Lite is free for others when all have."""
    key = (address.server, address.database)
    with _lock:
        shared = _opened[key]
        shared.users -= 1
        if shared.users:
            return
        del _opened[key]
        with suppress(Exception):
            shared.client.close()
        if address.is_lite:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(address.server)


def asked(address: Address, request: Callable[[], Result]) -> Result:
    """Return what Milvus answers; raise Lost, Unanswered or VectorsError."""
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        return request()
    except MilvusException as error:
        raise _stated(address, str(error.message or error), error.code) from error
    except grpc.RpcError as error:  # which pymilvus does not try again
        code = error.code() if isinstance(error, grpc.Call) else "no answer"
        raise _stated(
            address, f"{code}: timeout" if "DEADLINE" in str(code) else str(code)
        ) from error


def _connected(address: Address) -> Any:
    try:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException
    except ImportError as error:
        raise VectorsError(f"Milvus needs pymilvus: {install_hint('milvus')} ({error})") from error
    # They print what they raise as well.
    for name in ("pymilvus", "pymilvus.milvus_client", "milvus_lite", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if address.is_lite:
        _see_that_it_can_be(Path(address.server))
    token = address.token or _tokens.get(address.server) or os.environ.get(TOKEN, "")
    end = time.monotonic() + (0 if address.is_lite else REFUSED)
    while True:
        try:
            return MilvusClient(
                address.server, token=token, db_name=address.database, timeout=CONNECTING,
                grpc_options=CHANNEL,
            )  # fmt: skip
        except MilvusException as error:
            stated = _stated(address, str(error.message or error), error.code)
            if not isinstance(stated, Unanswered) or time.monotonic() > end:
                raise stated from error
            time.sleep(0.2)


def _see_that_it_can_be(file: Path) -> None:
    """Say what Milvus Lite would not: that its file is somebody else's, or no file of its own."""
    try:
        import fcntl

        import milvus_lite  # noqa: F401
    except ImportError as error:
        raise VectorsError(
            f"a file of Milvus needs Milvus Lite: {install_hint('milvus')} ({error})"
        ) from error
    if file.is_file():
        raise VectorsError(f"{file} is a file; Milvus Lite makes a folder of that name")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock, end = file / "LOCK", time.monotonic() + CONNECTING
        while lock.exists():
            try:
                with lock.open("r+b") as opened:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise Unanswered(BUSY.format(file)) from error
                time.sleep(0.1)
    except OSError as error:
        raise VectorsError(f"{file} cannot be used by Milvus: {error.strerror or error}") from error


def _stated(address: Address, said: str, code: object = None) -> VectorsError:
    said = " ".join(said.split())
    low = said.lower()
    if code == LOST or "collection not found" in low or "can't find collection" in low:
        return Lost(
            f"the collection is not in Milvus at {address.shown} any more ({said}); "
            "`searchapp index FOLDER` or `searchapp check --repair` sends it again, and embeds "
            "nothing"
        )
    if any(word in low for word in DENIED):
        return VectorsError(
            f"Milvus at {address.shown} asks for a user or token that it knows: set {TOKEN} to "
            f"TOKEN or USER:PASSWORD ({said})"
        )
    if any(word in low for word in UNREACHABLE):
        return Unanswered(
            f"Milvus at {address.shown} does not answer ({said}); start it, or do without: "
            "`searchapp move faiss`"
        )
    return VectorsError(
        f"Milvus at {address.shown} cannot do that: {said or 'it does not say why'}"
    )
