"""Index what changes, as it does; whatever goes wrong is tried again, and told once."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from searchapp.errors import FolderError, LockedError, SearchAppError
from searchapp.files import storage
from searchapp.files.ignore_rules import FILE as RULES
from searchapp.files.scan import resolve_roots
from searchapp.indexing.watch.changes import TICK, Pending, Watcher, check_installed, is_remote
from searchapp.types import Event, Failed, Failure, Finished, IndexOptions, RunSummary

QUIET = 2.0  # seconds without a change, after which a file is taken to be whole
POLL = 10.0  # seconds between looks where nothing tells of changes
MOST = 10_000  # changes below a folder, beyond which all of it is looked at: some may be missed
RETRY = (5.0, 30.0, 120.0)  # seconds after which a young file that failed is tried again
YOUNG = 300.0  # seconds since a file was written
LOCKED, TROUBLE, AWAY = 2.0, 30.0, 30.0  # seconds until the next try

Index: TypeAlias = Callable[[list[Path], IndexOptions], Iterator[Event]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Event: changes were indexed."""

    folder: str
    summary: RunSummary
    failures: tuple[Failure, ...] = ()
    again: int = 0  # files of the failures that are tried again soon: they may not be whole yet


@dataclass(frozen=True, slots=True)
class Away:
    """Event: a folder is not there, or suddenly empty; nothing is forgotten."""

    folder: str
    reason: str


@dataclass(frozen=True, slots=True)
class Back:
    """Event: a folder that was away is there again, and was looked at."""

    folder: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Event: a batch could not be indexed; it is tried again."""

    folder: str
    reason: str


@dataclass(frozen=True, slots=True)
class Polling:
    """Event: nothing tells of changes in a folder, so that it is looked at now and then."""

    folder: str
    seconds: float
    reason: str


WatchEvent = Batch | Away | Back | Waiting | Polling


@dataclass
class _Root:
    """A folder that is watched."""

    path: Path
    watcher: Watcher | None
    identity: tuple[int, int] | None  # device and number; None: it is not there
    whole_at: float | None = None  # when all of it is to be looked at, by time.monotonic
    away: bool = False  # and that was told
    trouble: str = ""  # that was told
    retries: dict[str, int] = field(default_factory=dict)  # how often, by path


class Watch:
    """Watches folders from when it is entered, and indexes what has changed, batch by batch."""

    def __init__(
        self,
        folders: Sequence[str | Path],
        library: Path,
        options: IndexOptions,
        *,
        poll: float | None = None,
        quiet: float = QUIET,
    ) -> None:
        """Raise FolderError for a folder that is none; library: its changes are its own affair."""
        check_installed()
        for folder in filter(storage.is_url, folders):
            raise FolderError(f"{folder}: nothing tells of changes there; run index now and then")
        self.roots = [Path(root) for root in resolve_roots(folders)]
        self._library, self._options, self._poll = library, options, poll
        self._told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._pending, self._again = Pending(quiet), Pending(quiet)
        self._watched: list[_Root] = []

    def __enter__(self) -> Self:
        """Begin to watch: what changes from now on is noticed."""
        self._watched = [_Root(root, self._watcher(root), _identity(root)) for root in self.roots]
        for each in self._watched:
            if each.watcher:
                each.watcher.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no more."""
        for each in self._watched:
            if each.watcher:
                each.watcher.stop()

    def events(self, index: Index) -> Iterator[WatchEvent]:
        """Index changes for ever, and tell of each batch. index: runs Library.index."""
        while True:
            self._collect()
            for root in self._watched:
                yield from self._present(root)
                due = root.whole_at is not None and time.monotonic() >= root.whole_at
                if due and root.identity is not None:
                    yield from self._run(index, root, None)
            changed, again = self._pending.due(), self._again.due()
            for root in self._watched:
                for paths, retry in ((_below(root, changed), False), (_below(root, again), True)):
                    if not paths or root.identity is None:
                        continue
                    if root.away or len(paths) > MOST:
                        root.whole_at = time.monotonic()
                    else:
                        yield from self._run(index, root, paths, retry)

    def _watcher(self, root: Path) -> Watcher:
        poll = self._poll or (POLL if is_remote(root) else None)
        return Watcher(root, self._told, poll)

    def _collect(self) -> None:
        """Note what has changed within a tick."""
        until = time.monotonic() + TICK
        paths = set[str]()
        while True:
            try:
                path = self._told.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if not Path(path).is_relative_to(self._library):
                paths.add(os.path.dirname(path) if Path(path).name == RULES else path)  # noqa: PTH120
        self._pending.note(paths)

    def _present(self, root: _Root) -> Iterator[WatchEvent]:
        """See whether a folder has gone, is another now (a mount), or is not told of any more."""
        identity = _identity(root.path)
        if identity != root.identity:
            if root.watcher:
                root.watcher.stop()
            root.identity, root.watcher = identity, None
            self._pending.forget(root.path)
            if identity is None:
                if not root.away:
                    root.away = True
                    yield Away(str(root.path), "is not there any more")
                return
            root.watcher = self._watcher(root.path)
            root.watcher.wait()
            root.whole_at = time.monotonic()
        if root.watcher and (error := root.watcher.error) is not None:
            seconds = self._poll or POLL
            if root.watcher.poll is None:
                yield Polling(str(root.path), seconds, str(error))
            root.watcher = Watcher(root.path, self._told, seconds)
            root.watcher.wait()
            at = time.monotonic() + (0 if root.watcher.error is None else AWAY)
            root.whole_at = min(at, root.whole_at or at)

    def _run(
        self, index: Index, root: _Root, paths: list[str] | None, retry: bool = False
    ) -> Iterator[WatchEvent]:
        """Index a folder, or some paths in it; put them back where that does not work now."""
        only = None if paths is None else tuple(paths)
        options = replace(self._options, only=only, retry_failed=retry)
        failures, summary = list[Failure](), RunSummary()
        root.whole_at = root.whole_at if paths else None
        try:
            for event in index([root.path], options):
                match event:
                    case Failed(failure):
                        failures.append(failure)
                    case Finished(told):
                        summary = told
        except FolderError as error:
            root.whole_at = time.monotonic() + AWAY
            if not root.away:
                root.away = True
                yield Away(str(root.path), str(error).removeprefix(f"{root.path}: "))
            return
        except SearchAppError as error:
            delay = LOCKED if isinstance(error, LockedError) else TROUBLE
            if paths is None:
                root.whole_at = time.monotonic() + delay
            else:
                (self._again if retry else self._pending).note(paths, delay)
            if root.trouble != str(error):
                root.trouble = str(error)
                yield Waiting(str(root.path), str(error))
            return
        root.trouble = ""
        if root.away:
            root.away = False
            yield Back(str(root.path))
        for path in {*(paths or ())} - {failure.path for failure in failures}:
            root.retries.pop(path, None)
        final = self._told_final(root, failures)
        counts = (summary.added, summary.moved, summary.removed, summary.kept, summary.failed)
        if any(counts):
            yield Batch(str(root.path), summary, final, len(failures) - len(final))

    def _told_final(self, root: _Root, failures: list[Failure]) -> tuple[Failure, ...]:
        """Return the failures that are not tried again: a young file may not be whole yet."""
        final = []
        for failure in failures:
            tries = root.retries.get(failure.path, 0)
            if tries < len(RETRY) and failure.stage in ("read", "decode") and _young(failure.path):
                root.retries[failure.path] = tries + 1
                self._again.note([failure.path], RETRY[tries])
            else:
                final.append(failure)
        return tuple(final)


def _below(root: _Root, paths: list[str]) -> list[str]:
    return [path for path in paths if Path(path).is_relative_to(root.path)]


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        stat = root.stat()
        with os.scandir(root):
            return stat.st_dev, stat.st_ino
    except OSError:
        return None


def _young(path: str) -> bool:
    try:
        return time.time() - Path(path).stat().st_mtime < YOUNG
    except OSError:
        return False
