"""The life of the resident process: it takes its place, serves, and leaves when it is idle."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp.errors import LibraryError, QueryError, SearchAppError
from searchapp.files.atomic import explain_disk_error
from searchapp.files.extras import install_hint
from searchapp.files.library_folder import require_library
from searchapp.indexing.embedding.choose_engines import EngineChoice
from searchapp.library import Library
from searchapp.server import client
from searchapp.server.guard import LOOPBACK_HOSTS, AccessRules
from searchapp.server.socket_path import LOCK_FILE_NAME, socket_path

if TYPE_CHECKING:
    import uvicorn

    from searchapp.server.service import Service

IDLE_CHECK_INTERVAL_S = 0.5  # between looks at the clock
RELEASE_AFTER_IDLE_S = (
    3.0  # with nothing to do, after which others may have what one process alone can
)


@dataclass(frozen=True, slots=True)
class ResidentSettings:
    """How the process serves."""

    library_folder: Path  # absolute
    keep_alive_min: float | None = (
        None  # minutes with nothing to do, then it leaves; None: it stays
    )
    host: str | None = None  # None: the Unix socket only
    port: int = 8080
    token: str | None = None
    allow_urls: bool = False
    engine_url: str | None = None  # URL of a remote engine
    api_key: str | None = None
    verbose: bool = False


def prepare(settings: ResidentSettings, notify: Callable[[str], None]) -> None:
    """Check the settings, and migrate a library of an earlier version.

    notify: called with a line of text before what takes a while.
    Errors: QueryError (other computers can connect, but there is no token), LibraryError.
    """
    if settings.host is not None and settings.host not in LOOPBACK_HOSTS and not settings.token:
        raise QueryError(
            f"other computers can connect to --host {settings.host}; set a --token SECRET for them"
        )
    Library.open(settings.library_folder, tell=notify).close()


def serve_library(settings: ResidentSettings) -> None:
    """Serve until asked to stop, or idle for long enough.

    Errors: LibraryError (no library there), SearchAppError (no FastAPI, the port is taken).
    """
    require_library(settings.library_folder)
    try:
        import uvicorn

        from searchapp.server.app import create_app
        from searchapp.server.service import Service
    except ImportError as error:
        raise SearchAppError(
            f"the resident process needs FastAPI and uvicorn: {install_hint('server')} ({error})"
        ) from error
    with _lock_and_listen(settings) as sockets:
        choice = EngineChoice(settings.engine_url, settings.api_key, verbose=settings.verbose)
        service = Service(settings.library_folder, choice.start)
        rules = AccessRules(settings.token, LOOPBACK_HOSTS | {settings.host or "localhost"})
        stop_event = asyncio.Event()
        app = create_app(
            service, rules, allow_urls=settings.allow_urls, request_stop=stop_event.set
        )
        config = uvicorn.Config(
            app, log_level="warning", loop="asyncio", lifespan="off", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)

        async def serve() -> None:
            watch_task = asyncio.create_task(
                _stop_when_idle(server, service, stop_event, settings.keep_alive_min)
            )
            await server.serve(sockets=sockets)
            watch_task.cancel()

        with suppress(KeyboardInterrupt):
            asyncio.run(serve())
        service.close()
    if "torch" in sys.modules:  # its own end takes seconds, and has nothing to save
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


async def _stop_when_idle(
    server: uvicorn.Server,
    service: Service,
    stop_event: asyncio.Event,
    keep_alive_min: float | None,
) -> None:
    """Tell the server to exit when it is asked to, or was idle for keep_alive minutes."""
    while True:
        try:
            await asyncio.wait_for(stop_event.wait(), IDLE_CHECK_INTERVAL_S)
            break
        except TimeoutError:
            idle_s = time.monotonic() - service.last_used_at
            if not service.active_requests and idle_s > RELEASE_AFTER_IDLE_S:
                await service.release_files()
            if (
                keep_alive_min is not None
                and not service.active_requests
                and idle_s > 60 * keep_alive_min
            ):
                break
    server.should_exit = True


@contextmanager
def _lock_and_listen(settings: ResidentSettings) -> Iterator[list[socket.socket]]:
    """Hold the library's one place for a resident process, and listen.

    The lock is the operating system's: a process that crashed has left it.
    """
    import fcntl

    path = socket_path(settings.library_folder)
    try:
        lock = (settings.library_folder / LOCK_FILE_NAME).open("a")
    except OSError as error:
        raise LibraryError(
            f"the library at {settings.library_folder} cannot be served: {explain_disk_error(error)}"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if settings.host is None:
                raise SearchAppError("another resident process runs already") from None
            client.stop_resident(
                settings.library_folder
            )  # it makes room for one that serves the network, too
            fcntl.flock(lock, fcntl.LOCK_EX)
        sockets = [_listen_unix(path)]
        try:
            if settings.host is not None:
                sockets.append(_listen_tcp(settings.host, settings.port))
            yield sockets
        finally:
            path.unlink(missing_ok=True)
            for each in sockets:
                each.close()


def _listen_unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # mode 0600 from the very beginning
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(256)
    return listener


def _listen_tcp(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(256)
    except OSError as error:
        raise SearchAppError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port"
        ) from error
    return listener
