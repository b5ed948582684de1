"""Sockets of the resident process: a Unix socket for commands, and a TCP socket for `serve`."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from searchapp.errors import EngineError, SearchAppError
from searchapp.files.owned_file import unlink_own
from searchapp.server import client
from searchapp.server.resident_lock import (
    LockHolder,
    ResidentUnavailableError,
    read_lock_holder,
    take_lock,
    write_holder,
)
from searchapp.server.socket_path import short_socket_path, socket_path
from searchapp.server.unix_http import is_listening

logger = logging.getLogger(__name__)
LOCK_TIMEOUT_S = 10.0  # for a process that ends, or that starts to listen
LOCK_CHECK_INTERVAL_S = 0.05
BACKLOG = 256


@dataclass(frozen=True, slots=True)
class Listeners:
    """Open sockets of a resident process, and what other processes know of it."""

    sockets: list[socket.socket]
    url: str | None  # None: there is no TCP socket
    lock: TextIO | None  # None: commands cannot use this process


@contextmanager
def open_listeners(
    library: Path, host: str | None, port: int, notify: Callable[[str], None]
) -> Iterator[Listeners]:
    """Open the sockets of a library, and close them at the end of the with block.

    host: address to listen on; None: only the Unix socket, for a background process.
    With a host, the process ends a background process and answers its queries too. If that is
    impossible, it serves without the Unix socket. notify: called with a line of text about this.
    Raises SearchAppError if `searchapp serve` already runs or the port is in use, and
    ResidentUnavailableError if a background process cannot have the Unix socket.
    """
    with ExitStack() as stack:
        sockets, url = list[socket.socket](), None
        if host is not None:
            _refuse_second_server(read_lock_holder(library))
            sockets.append(stack.enter_context(closing(_listen_tcp(host, port))))
            url_host = f"[{host}]" if ":" in host else host
            url = f"http://{url_host}:{sockets[0].getsockname()[1]}/"
        lock = None
        try:
            lock = stack.enter_context(_lock_library(library, url, notify))
            sockets.append(stack.enter_context(_listen_unix(library)))
        except (OSError, ResidentUnavailableError) as error:
            if lock is not None:
                lock.close()
                lock = None
            if url is None:
                raise ResidentUnavailableError(_explain(error)) from error
            notify(f"commands do not use this process, because {_explain(error)}")
        yield Listeners(sockets, url, lock)


def _lock_library(library: Path, url: str | None, notify: Callable[[str], None]) -> TextIO:
    """Take the lock of the resident process, and return its file.

    A process that ends keeps the lock for a moment, so a lock of a process that does not listen is
    tried again. Raises OSError or ResidentUnavailableError if the lock cannot be taken.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while (lock := take_lock(library)) is None:
        holder = read_lock_holder(library)
        if url is not None:
            _refuse_second_server(holder)
            _end_background_process(library, notify)
        elif is_listening(library):
            raise ResidentUnavailableError(f"{holder} already serves this library")
        if time.monotonic() > deadline:
            raise ResidentUnavailableError(f"{holder} has the library, and does not answer")
        time.sleep(LOCK_CHECK_INTERVAL_S)
    write_holder(lock, url)
    return lock


def _refuse_second_server(holder: LockHolder | None) -> None:
    if holder is not None and holder.url is not None:
        raise SearchAppError(
            f"the library is already served by {holder}. Open that address, or run "
            "`searchapp stop` first."
        )


def _end_background_process(library: Path, notify: Callable[[str], None]) -> None:
    try:
        ended = client.stop_resident(library)
    except EngineError as error:
        raise ResidentUnavailableError(str(error)) from error
    if ended is not None:
        logger.info("Ended %s: this process answers its queries too", ended)
        notify(f"ended {ended}: this process answers its queries too")


@contextmanager
def _listen_unix(library: Path) -> Iterator[socket.socket]:
    path = socket_path(library)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener:
        path.unlink(missing_ok=True)  # A process that was killed leaves its socket.
        with short_socket_path(library) as address:
            mask = os.umask(0o177)  # create the socket with mode 0600: a later chmod is a race
            try:
                listener.bind(address)
            finally:
                os.umask(mask)
        status = path.lstat()
        listener.listen(BACKLOG)
        try:
            yield listener
        finally:
            unlink_own(path, status)


def _listen_tcp(host: str, port: int) -> socket.socket:
    try:
        family, socket_type, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket_type, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        raise SearchAppError(
            f"cannot listen on {host}:{port} ({error.strerror or error}). Choose another --port."
        ) from error
    return listener


def _explain(error: Exception) -> str:
    """Return the reason of an error, to continue a sentence."""
    if isinstance(error, OSError):
        return f"the folder of the library does not allow it ({error.strerror or error})"
    return str(error)
