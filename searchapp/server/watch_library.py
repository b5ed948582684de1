"""Watch folders, index their changes, and embed in the resident process if possible."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from searchapp.engines.unclosed import UnclosedEngine
from searchapp.errors import LockedError, SearchAppError
from searchapp.files.library_folder import can_be_resident
from searchapp.indexing.watch import LinksOutdated, LinksUpdated, WatchEvent, WatchSession
from searchapp.library import Library
from searchapp.server.resident_engine import ResidentEngine
from searchapp.server.resident_lock import ResidentUnavailableError
from searchapp.server.start_resident import ResidentConfig, ensure_running
from searchapp.types import IndexEvent, IndexOptions, RunFinished, SavedSearch

if TYPE_CHECKING:
    from searchapp.engines import Engine
    from searchapp.indexing.embedding.choose_engines import StartEngines
    from searchapp.models import ModelSpec

logger = logging.getLogger(__name__)
LOCKED_RETRY_INTERVAL_S = 2.0  # pause while another process writes to the library


class LibraryWatch:
    """Watches folders, and keeps a library up to date with them; a context manager.

    Each index run opens the library again, so that other processes can write between two runs.
    The engine stays loaded: in the resident process, which queries share, or in this process.
    """

    def __init__(
        self,
        folders: Sequence[str | Path],
        resident_config: ResidentConfig,
        options: IndexOptions,
        start: Callable[[ModelSpec], Engine],
        start_many: StartEngines | None = None,
        *,
        use_resident: bool = True,
        poll_s: float | None = None,
        quiet_s: float,
        guard: Callable[[Iterator[IndexEvent]], Iterator[IndexEvent]] = iter,
        notify: Callable[[str], None],
    ) -> None:
        """Prepare the watch; the first index run starts the engine.

        start, start_many: see Library.open.
        poll_s: scan all files at this interval, instead of using the system's notifications.
        quiet_s: a file is read when it has not changed for this time.
        guard: wraps the iterator of each index run, for example to end a run that hangs.
        notify: called with a line of text before each slow step.
        Raises FolderError if a folder cannot be watched.
        """
        options = replace(options, writer="searchapp watch")
        self._watch = WatchSession(
            folders,
            resident_config.library_folder,
            options,
            poll_interval_s=poll_s,
            quiet_s=quiet_s,
        )
        self._resident_config, self._options = resident_config, options
        self._start, self._start_many = start, start_many
        self._use_resident = use_resident and can_be_resident(resident_config.library_folder)
        process = "the resident process" if self._use_resident else "this process"
        logger.info("Embedding with an engine in %s", process)
        self._guard, self._notify = guard, notify
        self._own_engine: Engine | None = None
        self._are_links_outdated = False
        self._link_failures: dict[int, str] = {}  # the last ones, by saved search

    @property
    def roots(self) -> list[Path]:
        """Return the absolute paths of the watched folders."""
        return self._watch.roots

    def __enter__(self) -> Self:
        self._watch.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.__exit__(kind, error, trace)
        self._close_engine()

    def index_all(self) -> Iterator[IndexEvent]:
        """Index the folders once, and yield the events; wait while another process writes.

        Raises the errors of Library.index, except LockedError.
        """
        is_notified = False
        while True:
            try:
                yield from self._index(self.roots, self._options)
                return
            except LockedError as error:
                if not is_notified:
                    self._notify(f"waiting: {error}")
                    is_notified = True
                time.sleep(LOCKED_RETRY_INTERVAL_S)

    def index_changes(self) -> Iterator[WatchEvent]:
        """Index changes until the caller stops, and yield an event for each batch.

        After a run that changed something, the links of saved searches are brought up to date.
        """
        yield from self._sync_links()
        for event in self._watch.index_changes(self._index):
            yield event
            yield from self._sync_links()

    def _index(self, roots: list[Path], options: IndexOptions) -> Iterator[IndexEvent]:
        with self._open_library(create=True) as library:
            for event in self._guard(library.index(roots, options)):
                if isinstance(event, RunFinished) and event.summary.has_changes:
                    self._are_links_outdated = True
                yield event

    def _open_library(self, *, create: bool) -> Library:
        return Library.open(
            self._resident_config.library_folder, create=create, start=self._get_engine,
            start_many=self._start_many, tell=self._notify,
        )  # fmt: skip

    def _sync_links(self) -> Iterator[WatchEvent]:
        """Bring the links of saved searches up to date if the library has changed.

        After a failure, the next event tries again; the same reason is not yielded twice.
        """
        if not self._are_links_outdated:
            return
        failures: dict[int, str] = {}
        try:
            with self._open_library(create=False) as library:
                for search in library.saved.list_searches():
                    if search.link_folder is not None:
                        yield from self._sync_one(library, search, search.link_folder, failures)
        except SearchAppError as error:  # The next index run fails for the same reason.
            logger.info("Did not bring the links of saved searches up to date: %s", error)
            return
        self._link_failures, self._are_links_outdated = failures, bool(failures)

    def _sync_one(
        self, library: Library, search: SavedSearch, folder: str, failures: dict[int, str]
    ) -> Iterator[WatchEvent]:
        """Bring one folder of links up to date; add the reason to failures if it fails."""
        try:
            changes = library.sync_links(search)
        except SearchAppError as error:
            reason = failures[search.id] = str(error)
            if self._link_failures.get(search.id) != reason:
                yield LinksOutdated(folder, search.name, reason)
        else:
            if changes.added or changes.removed:
                yield LinksUpdated(folder, search.name, changes.added, changes.removed)

    def _get_engine(self, spec: ModelSpec) -> Engine:
        if self._use_resident:
            try:
                ensure_running(self._resident_config, lambda line: None)
                return ResidentEngine(spec, self._resident_config, lambda line: None)
            except ResidentUnavailableError as error:
                self._notify(f"embedding without the resident process: {error}")
                self._use_resident = False
        if self._resident_config.engine_url is not None:
            # The remote server keeps the model loaded, so each run may connect again.
            return self._start(spec)
        if self._own_engine is None or self._own_engine.spec != spec:
            self._close_engine()
            self._own_engine = self._start(spec)
        return UnclosedEngine(self._own_engine)  # a library closes its engine after each run

    def _close_engine(self) -> None:
        if self._own_engine is not None:
            self._own_engine.close()
            self._own_engine = None
