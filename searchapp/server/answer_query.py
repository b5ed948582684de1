"""Answer a query in the library's resident process, or in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchapp.files.library_folder import can_be_resident, catalog_file, require_library
from searchapp.server import client
from searchapp.server.resident_lock import ResidentUnavailableError
from searchapp.server.start_resident import ResidentConfig
from searchapp.server.unix_http import is_listening
from searchapp.types import Query, SearchOptions, SearchResult, Term

if TYPE_CHECKING:
    from searchapp.engines import Engine
    from searchapp.models import ModelSpec

logger = logging.getLogger(__name__)


def answer_query(
    query: Query | Sequence[Term],
    options: SearchOptions,
    resident_config: ResidentConfig,
    start: Callable[[ModelSpec], Engine],
    *,
    use_resident: bool,
    notify: Callable[[str], None],
) -> SearchResult:
    """Return the result of a query; start the resident process if it does not run.

    start: starts the engine if this process answers.
    use_resident: False answers in this process. A read-only library is always searched in this
    process, because a resident process writes to the folder of the library. So is a library whose
    resident process this user cannot use.
    notify: called with a line of text before each slow step.
    Raises the errors of Library.find, and EngineError if the resident process does not start.
    """
    is_worthwhile = options.by != "text" or _is_running(resident_config.library_folder)
    if use_resident and is_worthwhile and can_be_resident(resident_config.library_folder):
        logger.info(
            "Searching in the resident process of the library %s", resident_config.library_folder
        )
        try:
            if not _is_running(resident_config.library_folder):
                _require_pictures(resident_config.library_folder, options, notify)
            return client.search(resident_config, query, options, notify)
        except ResidentUnavailableError as error:
            reason = str(error)
            notify(f"searching without the resident process: {reason}")
    elif use_resident:
        reason = "the library is read-only" if is_worthwhile else "a search by text needs no engine"
    else:
        reason = "the command excludes the resident process"
    logger.info("Searching in this process: %s", reason)
    from searchapp.library import Library

    with Library.open(resident_config.library_folder, start=start, tell=notify) as library:
        return library.find(query, options)


def _is_running(library: Path) -> bool:
    """Return whether a resident process listens, of this user or of another."""
    try:
        return is_listening(library)
    except PermissionError:
        return True


def _require_pictures(library: Path, options: SearchOptions, notify: Callable[[str], None]) -> None:
    """Raise the error of a search that finds nothing to search, before a process starts.

    Raises LibraryError or ModelError.
    """
    require_library(library)  # before the imports, which take longer
    from searchapp.catalog import Catalog, wrap_sqlite_errors
    from searchapp.models import select_collection

    catalog = Catalog.open(catalog_file(library), report=notify)
    try:
        with wrap_sqlite_errors(library):
            select_collection.select_nonempty(catalog, options)
    finally:
        catalog.close()
