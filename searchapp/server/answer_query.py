"""Answer a query in the library's resident process, or in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchapp.files.library_folder import can_be_resident, catalog_file, require_library
from searchapp.server import client
from searchapp.server.resident_lock import ResidentUnavailableError
from searchapp.server.start_resident import ResidentConfig
from searchapp.server.unix_http import is_listening
from searchapp.types import Example, Query, SavedSearch, SearchOptions, SearchResult, Term

if TYPE_CHECKING:
    from searchapp.engines import Engine
    from searchapp.engines.reranker import StartReranker
    from searchapp.library import Library
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
    examples: Sequence[Example] = (),
    start_reranker: StartReranker | None = None,
) -> SearchResult:
    """Return the result of a query; start the resident process if it does not run.

    start, start_reranker: start the models if this process answers.
    use_resident: False answers in this process. A read-only library is always searched in this
    process, because a resident process writes to the folder of the library. So is a library whose
    resident process this user cannot use.
    notify: called with a line of text before each slow step.
    Raises the errors of Library.find, and EngineError if the resident process does not start.
    """
    return _answer(
        _Question(
            options,
            lambda: client.search(resident_config, query, options, notify, examples),
            lambda library: library.find(query, options, examples),
            needs_engine=options.by != "text" or options.rerank is not None,
        ),
        resident_config, start, start_reranker, use_resident=use_resident, notify=notify,
    )  # fmt: skip


def load_saved(library: Path, name: str, notify: Callable[[str], None]) -> SavedSearch:
    """Return a saved search by its name, from the resident process if it runs.

    Raises QueryError if there is no such saved search, and LibraryError.
    """
    found = client.find_saved(library, name)
    if found is not None:
        return found
    from searchapp.library import Library

    with Library.open(library, tell=notify) as opened:
        return opened.saved.get(name)


def answer_saved(
    search: SavedSearch,
    changes: Mapping[str, Any],
    resident_config: ResidentConfig,
    start: Callable[[ModelSpec], Engine],
    *,
    use_resident: bool,
    notify: Callable[[str], None],
    start_reranker: StartReranker | None = None,
) -> SearchResult:
    """Return the result of a saved search; the other parameters are those of answer_query().

    changes: options that replace those of the saved search, by their names.
    """
    options = replace(search.options, **changes)
    embeds = any(
        term.image_key is None or term.text or term.region is not None for term in search.terms
    )
    return _answer(
        _Question(
            options,
            lambda: client.search_saved(resident_config, search.name, changes, notify),
            lambda library: library.find_saved(search.name, changes),
            needs_engine=(embeds and options.by != "text") or options.rerank is not None,
        ),
        resident_config, start, start_reranker, use_resident=use_resident, notify=notify,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Question:
    """A search, and how the resident process and an open library answer it."""

    options: SearchOptions
    ask_resident: Callable[[], SearchResult]
    ask_library: Callable[[Library], SearchResult]
    needs_engine: bool


def _answer(
    question: _Question,
    resident_config: ResidentConfig,
    start: Callable[[ModelSpec], Engine],
    start_reranker: StartReranker | None,
    *,
    use_resident: bool,
    notify: Callable[[str], None],
) -> SearchResult:
    folder = resident_config.library_folder
    is_worthwhile = question.needs_engine or _is_running(folder)
    if use_resident and is_worthwhile and can_be_resident(folder):
        logger.info("Searching in the resident process of the library %s", folder)
        try:
            if not _is_running(folder):
                _require_pictures(folder, question.options, notify)
            return question.ask_resident()
        except ResidentUnavailableError as error:
            reason = str(error)
            notify(f"searching without the resident process: {reason}")
    elif use_resident:
        reason = "the library is read-only" if is_worthwhile else "this search needs no engine"
    else:
        reason = "the command excludes the resident process"
    logger.info("Searching in this process: %s", reason)
    from searchapp.library import Library

    with Library.open(folder, start=start, start_reranker=start_reranker, tell=notify) as library:
        return question.ask_library(library)


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
