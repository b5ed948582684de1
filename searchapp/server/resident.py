"""Run the resident process: serve a library, stop when idle, and end in a bounded time."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp.errors import LibraryError, QueryError, SearchAppError
from searchapp.files.extras import install_hint
from searchapp.files.library_folder import require_library
from searchapp.indexing.embedding.choose_engines import EngineChoice
from searchapp.library import Library
from searchapp.server.access_token import AccessToken
from searchapp.server.guard import LOOPBACK_HOSTS, AccessRules
from searchapp.server.listeners import Listeners, open_listeners
from searchapp.server.resident_lock import is_lock_in_place
from searchapp.server.start_options import EngineOrigin

if TYPE_CHECKING:
    import uvicorn

    from searchapp.server.service import Service

logger = logging.getLogger(__name__)
IDLE_CHECK_INTERVAL_S = 0.5
GRACE_PERIOD_S = 2  # for running requests, when the process stops
SHUTDOWN_TIMEOUT_S = 7.0  # then the process ends, whatever its threads do
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


def serve_library(
    settings: ResidentSettings,
    notify: Callable[[str], None] = lambda line: None,
    on_listening: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve a library until the process is stopped, or idle for keep_alive_min.

    The process ends within SHUTDOWN_TIMEOUT_S after that, even if a thread still works.
    With a host, the model is loaded at once. A background process loads it for the first search,
    which can name another model.
    notify: called with a line of text when the process listens, and when another command stops it.
    on_listening: called with the URL of the page when browsers can load it.
    Raises LibraryError if there is no library, SearchAppError if FastAPI is not installed, the port
    is in use or `searchapp serve` already runs, and ResidentUnavailableError if a background
    process cannot have the Unix socket.
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
    with open_listeners(settings.library_folder, settings.host, settings.port, notify) as listeners:
        if listeners.url is not None:
            token_part = "?token=..." if settings.token else ""
            notify(f"serving {listeners.url}{token_part}   (Ctrl-C stops it)")
            on_listening(listeners.url)
        logger.info(
            "The process %d serves the library %s%s",
            os.getpid(),
            settings.library_folder,
            f" at {listeners.url}" if listeners.url else "",
        )
        choice = EngineChoice(settings.engine_url, settings.api_key, verbose=settings.verbose)
        service = Service(settings.library_folder, choice.start, choice.start_reranker)
        service.activity.keep_alive_min = settings.keep_alive_min
        rules = AccessRules(settings.token, LOOPBACK_HOSTS | {settings.host or "localhost"})
        stop_event = asyncio.Event()
        app = create_app(
            service, rules, allow_urls=settings.allow_urls, request_stop=stop_event.set,
            engine=EngineOrigin(settings.engine_url, settings.api_key),
        )  # fmt: skip
        config = uvicorn.Config(
            app, log_level="warning", loop="asyncio", lifespan="off",
            timeout_graceful_shutdown=GRACE_PERIOD_S,
            log_config=None,  # logging.config.dictConfig closes the handlers that already exist
        )  # fmt: skip
        server = uvicorn.Server(config)

        end_timer = threading.Timer(SHUTDOWN_TIMEOUT_S, _end_process)
        end_timer.daemon = True

        async def serve() -> None:
            server_task = asyncio.create_task(server.serve(sockets=listeners.sockets))
            server_task.add_done_callback(lambda task: stop_event.set())
            load_task = None
            if settings.host is not None:
                # Kept in a variable: asyncio itself does not keep tasks alive.
                load_task = asyncio.create_task(_load_model(service, notify))
            reason = await _wait_for_stop(server, service, stop_event, listeners, settings)
            if reason is not None:
                logger.info("Stopping the resident process: %s", reason)
                notify(f"stopped: {reason}")
            end_timer.start()
            server.should_exit = True
            await server_task
            if load_task is not None:
                load_task.cancel()

        with suppress(KeyboardInterrupt):
            asyncio.run(serve())
        is_closed = service.close()
    # A normal exit waits for all threads. That of torch takes seconds, and saves nothing.
    if not is_closed or "torch" in sys.modules:
        _end_process()
    end_timer.cancel()


async def _load_model(service: Service, notify: Callable[[str], None]) -> None:
    """Load the model; a failure ends no server, because filters and pictures need no model."""
    try:
        await service.load_model()
    except LibraryError as error:  # an empty library
        logger.info("Loaded no model: %s", error)
    except SearchAppError as error:
        notify(f"the model cannot be loaded, so that only filters work: {error}")


def _end_process() -> None:
    """End the process at once; this loses nothing that the catalog or an index file holds."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def _wait_for_stop(
    server: uvicorn.Server,
    service: Service,
    stop_event: asyncio.Event,
    listeners: Listeners,
    settings: ResidentSettings,
) -> str | None:
    """Wait until the process must stop; return the reason, or None after a signal.

    Meanwhile, close exclusive files when idle.
    """
    release_task: asyncio.Task[None] | None = None
    while not server.should_exit:
        try:
            await asyncio.wait_for(stop_event.wait(), IDLE_CHECK_INTERVAL_S)
            return None if server.should_exit else "another command asked for it"
        except TimeoutError:
            if listeners.lock and not is_lock_in_place(settings.library_folder, listeners.lock):
                return f"the library at {settings.library_folder} was moved or removed"
            idle_s = service.activity.idle_s
            is_released = release_task is None or release_task.done()
            if is_released and idle_s > RELEASE_AFTER_IDLE_S:
                # Not awaited: the thread of the library may work for long.
                release_task = asyncio.create_task(service.release_files())
            keep_alive_min = service.activity.keep_alive_min  # a command can change it
            if keep_alive_min is not None and idle_s > 60 * keep_alive_min:
                return f"no request for {keep_alive_min:.3g} minutes"
    return None
