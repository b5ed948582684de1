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
from searchapp.files.atomic import reason
from searchapp.files.extras import install_hint
from searchapp.files.library_folder import require_library
from searchapp.indexing.embedding.choose_engines import EngineChoice
from searchapp.library import Library
from searchapp.server import client
from searchapp.server.guard import LOOPBACK, Rules
from searchapp.server.socket_path import PLACE, socket_path

if TYPE_CHECKING:
    import uvicorn

    from searchapp.server.service import Service

CHECK_SECONDS = 0.5  # between looks at the clock
REST_SECONDS = 3.0  # with nothing to do, after which others may have what one process alone can


@dataclass(frozen=True, slots=True)
class Settings:
    """How the process serves."""

    library: Path  # absolute
    keep_alive: float | None = None  # minutes with nothing to do, then it leaves; None: it stays
    host: str | None = None  # None: the Unix socket only
    port: int = 8080
    token: str | None = None
    allow_urls: bool = False
    engine: str | None = None  # URL of a remote engine
    api_key: str | None = None
    verbose: bool = False


def prepare(settings: Settings, notify: Callable[[str], None]) -> None:
    """Check the settings, and migrate a library of an earlier version.

    notify: called with a line of text before what takes a while.
    Errors: QueryError (other computers can connect, but there is no token), LibraryError.
    """
    if settings.host is not None and settings.host not in LOOPBACK and not settings.token:
        raise QueryError(
            f"other computers can connect to --host {settings.host}; set a --token SECRET for them"
        )
    Library.open(settings.library, tell=notify).close()


def run(settings: Settings) -> None:
    """Serve until asked to stop, or idle for long enough.

    Errors: LibraryError (no library there), SearchAppError (no FastAPI, the port is taken).
    """
    require_library(settings.library)
    try:
        import uvicorn

        from searchapp.server.app import create_app
        from searchapp.server.service import Service
    except ImportError as error:
        raise SearchAppError(
            f"the resident process needs FastAPI and uvicorn: {install_hint('server')} ({error})"
        ) from error
    with _place(settings) as sockets:
        choice = EngineChoice(settings.engine, settings.api_key, verbose=settings.verbose)
        service = Service(settings.library, choice.start)
        rules = Rules(settings.token, LOOPBACK | {settings.host or "localhost"})
        leaving = asyncio.Event()
        app = create_app(service, rules, allow_urls=settings.allow_urls, leave=leaving.set)
        config = uvicorn.Config(
            app, log_level="warning", loop="asyncio", lifespan="off", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)

        async def serve() -> None:
            watching = asyncio.create_task(_watch(server, service, leaving, settings.keep_alive))
            await server.serve(sockets=sockets)
            watching.cancel()

        with suppress(KeyboardInterrupt):
            asyncio.run(serve())
        service.close()
    if "torch" in sys.modules:  # its own end takes seconds, and has nothing to save
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


async def _watch(
    server: uvicorn.Server, service: Service, leaving: asyncio.Event, keep_alive: float | None
) -> None:
    """Tell the server to exit when it is asked to, or was idle for keep_alive minutes."""
    while True:
        try:
            await asyncio.wait_for(leaving.wait(), CHECK_SECONDS)
            break
        except TimeoutError:
            idle = time.monotonic() - service.last_used
            if not service.busy and idle > REST_SECONDS:
                await service.rest()
            if keep_alive is not None and not service.busy and idle > 60 * keep_alive:
                break
    server.should_exit = True


@contextmanager
def _place(settings: Settings) -> Iterator[list[socket.socket]]:
    """Hold the library's one place for a resident process, and listen.

    The lock is the operating system's: a process that crashed has left it.
    """
    import fcntl

    path = socket_path(settings.library)
    try:
        lock = (settings.library / PLACE).open("a")
    except OSError as error:
        raise LibraryError(
            f"the library at {settings.library} cannot be served: {reason(error)}"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if settings.host is None:
                raise SearchAppError("another resident process runs already") from None
            client.stop(settings.library)  # it makes room for one that serves the network, too
            fcntl.flock(lock, fcntl.LOCK_EX)
        sockets = [_unix(path)]
        try:
            if settings.host is not None:
                sockets.append(_tcp(settings.host, settings.port))
            yield sockets
        finally:
            path.unlink(missing_ok=True)
            for each in sockets:
                each.close()


def _unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # mode 0600 from the very beginning
    try:
        listening.bind(str(path))
    finally:
        os.umask(mask)
    listening.listen(256)
    return listening


def _tcp(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(256)
    except OSError as error:
        raise SearchAppError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --port"
        ) from error
    return listening
