"""Run the resident process: lock the library, listen, serve, and stop when idle."""

from __future__ import annotations

import asyncio
import logging
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
from searchapp.server.access_token import AccessToken
from searchapp.server.guard import LOOPBACK_HOSTS, AccessRules
from searchapp.server.socket_path import LOCK_FILE_NAME, socket_path
from searchapp.server.start_options import EngineOrigin

if TYPE_CHECKING:
    import uvicorn

    from searchapp.server.service import Service

logger = logging.getLogger(__name__)
IDLE_CHECK_INTERVAL_S = 0.5
# Only one process at a time can open a Milvus Lite file: when idle, close it for others.
RELEASE_AFTER_IDLE_S = 3.0


@dataclass(frozen=True, slots=True)
class ResidentSettings:
    """Settings of the resident process."""

    library_folder: Path  # absolute
    keep_alive_min: float | None = None  # idle minutes before the process stops; None: never
    host: str | None = None  # None: listen only on the Unix socket
    port: int = 8080
    token: str | None = None
    allow_urls: bool = False
    engine_url: str | None = None  # URL of a remote engine
    api_key: str | None = None
    verbose: bool = False


def prepare_library(settings: ResidentSettings, notify: Callable[[str], None]) -> None:
    """Check the settings, and migrate a library of an earlier version.

    notify: called with a line of text before each slow step.
    Raises QueryError if other computers can connect without a token, or the token cannot be sent,
    and LibraryError.
    """
    if settings.token is not None:
        AccessToken(settings.token)
    if settings.host is not None and settings.host not in LOOPBACK_HOSTS and not settings.token:
        raise QueryError(
            f"other computers can connect to --host {settings.host}, but no token is set. Add "
            "--token SECRET."
        )
    Library.open(settings.library_folder, tell=notify).close()


def serve_library(settings: ResidentSettings) -> None:
    """Serve a library until the process is stopped, or idle for keep_alive_min.

    Raises LibraryError if there is no library, and SearchAppError if FastAPI is not installed,
    the port is in use, or another resident process serves the library.
    """
    require_library(settings.library_folder)
    try:
        import uvicorn

        from searchapp.server.app import create_app
        from searchapp.server.service import Service
    except ImportError as error:
        raise SearchAppError(
            f"the resident process cannot start: FastAPI or uvicorn is missing ({error}). "
            f"Install them: {install_hint('server')}"
        ) from error
    with _lock_and_listen(settings) as sockets:
        logger.info(
            "The process %d serves the library %s%s",
            os.getpid(),
            settings.library_folder,
            f" on {settings.host}:{settings.port}" if settings.host else "",
        )
        choice = EngineChoice(settings.engine_url, settings.api_key, verbose=settings.verbose)
        service = Service(settings.library_folder, choice.start)
        service.keep_alive_min = settings.keep_alive_min
        rules = AccessRules(settings.token, LOOPBACK_HOSTS | {settings.host or "localhost"})
        stop_event = asyncio.Event()
        app = create_app(
            service, rules, allow_urls=settings.allow_urls, request_stop=stop_event.set,
            engine=EngineOrigin(settings.engine_url, settings.api_key),
        )  # fmt: skip
        config = uvicorn.Config(
            app, log_level="warning", loop="asyncio", lifespan="off", timeout_graceful_shutdown=2,
            log_config=None,  # logging.config.dictConfig closes the handlers that already exist
        )  # fmt: skip
        server = uvicorn.Server(config)

        async def serve() -> None:
            idle_task = asyncio.create_task(_stop_when_idle(server, service, stop_event))
            await server.serve(sockets=sockets)
            idle_task.cancel()

        with suppress(KeyboardInterrupt):
            asyncio.run(serve())
        service.close()
    if "torch" in sys.modules:  # a normal exit of torch takes seconds, and saves nothing
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


async def _stop_when_idle(
    server: uvicorn.Server,
    service: Service,
    stop_event: asyncio.Event,
) -> None:
    """Stop the server when stop_event is set, or after service.keep_alive_min idle minutes."""
    while True:
        try:
            await asyncio.wait_for(stop_event.wait(), IDLE_CHECK_INTERVAL_S)
            logger.info("Stopping the resident process: a command asked for it")
            break
        except TimeoutError:
            idle_s = time.monotonic() - service.last_used_at
            if not service.active_requests and idle_s > RELEASE_AFTER_IDLE_S:
                await service.release_files()
            keep_alive_min = service.keep_alive_min  # a command can change it
            if (
                keep_alive_min is not None
                and not service.active_requests
                and idle_s > 60 * keep_alive_min
            ):
                logger.info(
                    "Stopping the resident process: no request for %.3g minutes", keep_alive_min
                )
                break
    server.should_exit = True


@contextmanager
def _lock_and_listen(settings: ResidentSettings) -> Iterator[list[socket.socket]]:
    """Lock the library against other resident processes, and yield the sockets that listen.

    The operating system releases the lock if the process crashes.
    Raises LibraryError if the library cannot be written, and SearchAppError if another resident
    process holds the lock or the port is in use.
    """
    import fcntl

    path = socket_path(settings.library_folder)
    try:
        lock = (settings.library_folder / LOCK_FILE_NAME).open("a")
    except OSError as error:
        raise LibraryError(
            f"cannot serve the library at {settings.library_folder}: {explain_disk_error(error)}"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if settings.host is None:
                raise SearchAppError(
                    "another resident process already serves this library. Stop it with "
                    "`searchapp stop`."
                ) from None
            # This process serves the Unix socket too, so it replaces the other resident process.
            logger.info("Replacing the resident process that already serves this library")
            client.stop_resident(settings.library_folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
        sockets = [_listen_unix(path)]
        try:
            if settings.host is not None:
                sockets.append(_listen_tcp(settings.host, settings.port))
            yield sockets
        finally:
            path.unlink(missing_ok=True)
            for listener in sockets:
                listener.close()


def _listen_unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # create the socket with mode 0600: a later chmod is a race
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(256)
    return listener


def _listen_tcp(host: str, port: int) -> socket.socket:
    try:
        family, socket_type, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket_type, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(256)
    except OSError as error:
        raise SearchAppError(
            f"cannot listen on {host}:{port} ({error.strerror or error}). Choose another --port."
        ) from error
    return listener
