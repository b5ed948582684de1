"""Answer a query in the library's resident process, or in this process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from searchapp.errors import SearchAppError
from searchapp.files.library_folder import can_be_resident, catalog_file, require_library
from searchapp.server import client, client_batches
from searchapp.server.resident_lock import ResidentUnavailableError
from searchapp.server.start_resident import ResidentConfig
from searchapp.server.unix_http import is_listening
from searchapp.types import (
    Example,
    Query,
    SavedSearch,
    SearchOptions,
    SearchQuestion,
    SearchResult,
    Term,
)

if TYPE_CHECKING:
    from searchapp.engines import Engine
    from searchapp.engines.reranker import StartReranker
    from searchapp.library import Library
    from searchapp.models import ModelSpec

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")
MAX_QUESTIONS = 64  # in one request: more make it no faster
RERANKED_SIZE = 8  # A search with a reranker counts as much: it takes up to a minute.


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
    request = _Request(
        options,
        lambda: client.search(resident_config, query, options, notify, examples),
        lambda library: library.find(query, options, examples),
        needs_engine=_needs_engine(options),
    )
    with _Answerer(resident_config, start, start_reranker, use_resident, notify) as answerer:
        return answerer.answer(request)


def list_newest(
    library: Path, options: SearchOptions, notify: Callable[[str], None]
) -> SearchResult:
    """Return the pictures that match the filters, newest first; only the catalog is read.

    notify: called with a line of text before a slow step. Raises QueryError and LibraryError.
    """
    from searchapp.library import Library

    with Library.open(library, tell=notify) as opened:
        return opened.list_newest(options)


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
    request = _Request(
        options,
        lambda: client.search_saved(resident_config, search.name, changes, notify),
        lambda library: library.find_saved(search.name, changes),
        needs_engine=(embeds and options.by != "text") or options.rerank is not None,
    )
    with _Answerer(resident_config, start, start_reranker, use_resident, notify) as answerer:
        return answerer.answer(request)


def answer_queries(
    questions: Iterable[SearchQuestion | SearchAppError],
    base_options: SearchOptions,
    resident_config: ResidentConfig,
    start: Callable[[ModelSpec], Engine],
    *,
    use_resident: bool,
    notify: Callable[[str], None],
    start_reranker: StartReranker | None = None,
) -> Iterator[SearchResult | SearchAppError]:
    """Yield the result of each question, or its error; the questions are asked in batches.

    questions: an error among them is the error of a question that cannot be asked.
    base_options: options that the questions have in common; if no resident process runs, they
    must choose a collection with pictures. The other parameters are those of answer_query().
    Raises EngineError, and LibraryError if the library cannot be opened.
    """
    with _Answerer(resident_config, start, start_reranker, use_resident, notify) as answerer:
        for batch in _split_batches(questions):
            asked = [each for each in batch if isinstance(each, SearchQuestion)]
            outcomes = answerer.answer(_make_batch(asked, base_options, answerer)) if asked else []
            answers = iter(outcomes)
            for each in batch:
                yield each if isinstance(each, SearchAppError) else next(answers)


def _split_batches(
    questions: Iterable[SearchQuestion | SearchAppError],
) -> Iterator[list[SearchQuestion | SearchAppError]]:
    """Yield questions in lists of at most MAX_QUESTIONS, with few that are reranked, in order."""
    batch, size = list[SearchQuestion | SearchAppError](), 0
    for question in questions:
        batch.append(question)
        is_reranked = isinstance(question, SearchQuestion) and question.options.rerank is not None
        size += RERANKED_SIZE if is_reranked else 1
        if size >= MAX_QUESTIONS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _make_batch(
    questions: Sequence[SearchQuestion], base_options: SearchOptions, answerer: _Answerer
) -> _Request[list[SearchResult | SearchAppError]]:
    config, notify = answerer.config, answerer.notify
    return _Request(
        base_options,
        lambda: client_batches.search_many(config, questions, notify),
        lambda library: list(library.find_many(questions)),
        needs_engine=any(_needs_engine(question.options) for question in questions),
    )


def _needs_engine(options: SearchOptions) -> bool:
    return options.by != "text" or options.rerank is not None


@dataclass(frozen=True, slots=True)
class _Request(Generic[Answer]):
    """One or several searches, and how the resident process and an open library answer them."""

    options: SearchOptions
    ask_resident: Callable[[], Answer]
    ask_library: Callable[[Library], Answer]
    needs_engine: bool


@dataclass
class _Answerer(AbstractContextManager["_Answerer"]):
    """Chooses the process that answers, and keeps the library open if it is this process."""

    config: ResidentConfig
    start: Callable[[ModelSpec], Engine]
    start_reranker: StartReranker | None
    use_resident: bool
    notify: Callable[[str], None]
    library: Library | None = None

    def __exit__(self, *error: object) -> None:
        if self.library is not None:
            self.library.close()

    def answer(self, request: _Request[Answer]) -> Answer:
        """Return the answer of the resident process, or of this process."""
        if self.library is not None:
            return request.ask_library(self.library)
        folder = self.config.library_folder
        is_worthwhile = request.needs_engine or _is_running(folder)
        if self.use_resident and is_worthwhile and can_be_resident(folder):
            logger.info("Searching in the resident process of the library %s", folder)
            try:
                if not _is_running(folder):
                    _require_pictures(folder, request.options, self.notify)
                return request.ask_resident()
            except ResidentUnavailableError as error:
                reason = str(error)
                self.notify(f"searching without the resident process: {reason}")
        elif self.use_resident:
            reason = "the library is read-only" if is_worthwhile else "this search needs no engine"
        else:
            reason = "the command excludes the resident process"
        logger.info("Searching in this process: %s", reason)
        from searchapp.library import Library

        self.library = Library.open(
            folder, start=self.start, start_reranker=self.start_reranker, tell=self.notify
        )
        return request.ask_library(self.library)


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
