"""Start the resident process of a library in the background, unless it already runs.

Each query imports this module, so the module imports no engine, index or server.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from searchapp.errors import EngineError, LibraryError
from searchapp.files.library_folder import catalog_file
from searchapp.server.resident_lock import (
    UNAVAILABLE_EXIT_CODE,
    ResidentUnavailableError,
    read_lock_holder,
)
from searchapp.server.socket_path import hold_lock, log_path
from searchapp.server.unix_http import is_listening

logger = logging.getLogger(__name__)
# -P: the current folder must not provide modules.
SERVER_COMMAND = [sys.executable, "-P", "-m", "searchapp.server"]
DEFAULT_KEEP_ALIVE_MIN = 15.0
START_TIMEOUT_S = 300.0  # until the process listens; the engine may start later


@dataclass(frozen=True, slots=True)
class ResidentConfig:
    """Library of a resident process, and the settings to start the process with."""

    library_folder: Path  # absolute
    keep_alive_min: float | None = None  # idle minutes before the process stops; None: as it is
    engine_url: str | None = None  # URL of a remote engine
    api_key: str | None = None


def ensure_running(config: ResidentConfig, notify: Callable[[str], None]) -> None:
    """Start the resident process if it does not run; return when it listens.

    If several commands find no process, a lock makes sure that only one command starts it.
    notify: called with a line of text before each slow step.
    Raises EngineError if the process does not start, and ResidentUnavailableError if this user
    cannot start one, or cannot connect to the one that runs.
    """
    if _is_running(config.library_folder):
        logger.debug("The resident process of the library %s already runs", config.library_folder)
        return
    try:
        with hold_lock(config.library_folder, "starting", 2 * START_TIMEOUT_S):
            if _is_running(config.library_folder):
                logger.info("Another command has just started the resident process")
            else:
                notify("starting the resident process ...")
                _start_resident(config, notify)
    except OSError as error:
        raise ResidentUnavailableError(
            f"the resident process cannot start: {error.filename or config.library_folder}: "
            f"{error.strerror or error}"
        ) from error


def _is_running(library: Path) -> bool:
    """Return whether this user can connect; raise ResidentUnavailableError if only another can."""
    try:
        return is_listening(library)
    except PermissionError as error:
        holder = read_lock_holder(library)
        if holder is None:  # The other user's process was killed, and has left its socket.
            return False
        raise ResidentUnavailableError(f"{holder} belongs to another user") from error


def _start_resident(config: ResidentConfig, notify: Callable[[str], None]) -> None:
    log = log_path(config.library_folder)
    arguments = [
        "--library",
        str(config.library_folder),
        "--keep-alive",
        str(config.keep_alive_min or DEFAULT_KEEP_ALIVE_MIN),
    ]
    environment = dict(os.environ)
    if config.engine_url:
        arguments += ["--engine", config.engine_url]
    if config.api_key:
        # Other users of the machine can read arguments, but not the environment.
        environment["SEARCHAPP_API_KEY"] = config.api_key
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*SERVER_COMMAND, *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, env=environment, cwd=config.library_folder,
        )  # fmt: skip
    logger.info(
        "Started the resident process %d of the library %s", process.pid, config.library_folder
    )
    _migrate_catalog(catalog_file(config.library_folder), notify)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _is_running(config.library_folder):
        if process.poll() is not None or time.monotonic() > deadline:
            if _is_running(config.library_folder):  # `searchapp serve` started meanwhile.
                return
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = lines[-1].removeprefix("searchapp: ") if lines else "its log is empty"
            if process.returncode == UNAVAILABLE_EXIT_CODE:
                raise ResidentUnavailableError(reason)
            raise EngineError(
                f"the resident process did not start: {reason} (log file: {log}). "
                "Use --no-daemon to continue without it."
            )
        time.sleep(0.02)


def _migrate_catalog(catalog: Path, notify: Callable[[str], None]) -> None:
    """Migrate the catalog by opening it; call notify before a slow migration.

    The resident process also migrates the catalog at its start, but cannot notify the user.
    """
    from searchapp.catalog import Catalog

    with suppress(LibraryError):  # the resident process reports the same error
        Catalog.open(catalog, report=notify).close()
