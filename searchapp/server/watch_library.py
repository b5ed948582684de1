"""Watch folders for a library, with the engine of its resident process if there may be one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from searchapp.engines.unclosed import UnclosedEngine
from searchapp.errors import LockedError
from searchapp.files.library_folder import can_be_resident
from searchapp.indexing.watch import WatchEvent, WatchSession
from searchapp.library import Library
from searchapp.server.client import ResidentConfig
from searchapp.server.resident_engine import ResidentEngine
from searchapp.types import IndexEvent, IndexOptions

if TYPE_CHECKING:
    from searchapp.engines import Engine
    from searchapp.indexing.embedding.choose_engines import StartEngines
    from searchapp.models import ModelSpec

LOCKED_RETRY_S = 2.0  # until the next try while another process writes


class LibraryWatch:
    """Keeps a library in step with folders. A context manager: it watches while it is entered.

    Each index run opens the library anew, so that other processes can write between two runs.
    The engine stays: in the resident process, which queries share, or in this process.
    """

    def __init__(
        self,
        folders: Sequence[str | Path],
        residence: ResidentConfig,
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
        """Start no engine yet; raise FolderError for a folder that cannot be watched.

        start, start_many: see Library.open. poll_s: look at all files that often, instead of
        waiting for the system's notifications. quiet_s: read a file once it has not changed for
        so long. guard: wraps the events of each index run. notify: called with a line of text
        before what takes a while.
        """
        self._watch = WatchSession(
            folders, residence.library_folder, options, poll_interval_s=poll_s, quiet_s=quiet_s
        )
        self._residence, self._options = residence, options
        self._start, self._start_many = start, start_many
        self._use_resident = use_resident and can_be_resident(residence.library_folder)
        self._guard, self._notify = guard, notify
        self._own_engine: Engine | None = None

    @property
    def roots(self) -> list[Path]:
        """Return the folders, as absolute paths."""
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

        Errors: those of Library.index, but not LockedError.
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
                time.sleep(LOCKED_RETRY_S)

    def events(self) -> Iterator[WatchEvent]:
        """Index changes without end, and yield an event for each batch."""
        return self._watch.index_changes(self._index)

    def _index(self, roots: list[Path], options: IndexOptions) -> Iterator[IndexEvent]:
        with Library.open(
            self._residence.library_folder, create=True, start=self._engine,
            start_many=self._start_many, tell=self._notify,
        ) as library:  # fmt: skip
            yield from self._guard(library.index(roots, options))

    def _engine(self, spec: ModelSpec) -> Engine:
        if self._use_resident:
            return ResidentEngine(spec, self._residence, lambda line: None)
        if self._residence.engine_url is not None:  # remote: there is nothing to keep
            return self._start(spec)
        if self._own_engine is None or self._own_engine.spec != spec:
            self._close_engine()
            self._own_engine = self._start(spec)
        return UnclosedEngine(self._own_engine)  # a library closes its engine after each run

    def _close_engine(self) -> None:
        if self._own_engine is not None:
            self._own_engine.close()
            self._own_engine = None
