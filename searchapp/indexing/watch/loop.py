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
from searchapp.files.ignore_rules import IGNORE_FILE_NAME as RULES
from searchapp.files.scan import resolve_roots
from searchapp.indexing.watch.changes import (
    TICK_S,
    ChangeNotifier,
    PendingChanges,
    check_watchfiles_installed,
    is_network_folder,
)
from searchapp.types import Failure, FileFailed, IndexEvent, IndexOptions, RunFinished, RunSummary

QUIET_S = 2.0  # seconds without a change, after which a file is taken to be whole
POLL_INTERVAL_S = 10.0  # seconds between looks where nothing tells of changes
MAX_BATCH_CHANGES = (
    10_000  # changes below a folder, beyond which all of it is looked at: some may be missed
)
RETRY_DELAYS_S = (5.0, 30.0, 120.0)  # seconds after which a young file that failed is tried again
MAX_YOUNG_AGE_S = 300.0  # seconds since a file was written
LOCKED_RETRY_S, ERROR_RETRY_S, UNAVAILABLE_RETRY_S = 2.0, 30.0, 30.0  # seconds until the next try

IndexFunction: TypeAlias = Callable[[list[Path], IndexOptions], Iterator[IndexEvent]]


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
class _WatchedFolder:
    """A folder that is watched."""

    path: Path
    notifier: ChangeNotifier | None
    identity: tuple[int, int] | None  # device and number; None: it is not there
    full_scan_at: float | None = None  # when all of it is to be looked at, by time.monotonic
    is_unavailable: bool = False  # and that was told
    last_error: str = ""  # that was told
    retry_count_by_path: dict[str, int] = field(default_factory=dict)  # how often, by path


class WatchSession:
    """Watches folders from when it is entered, and indexes what has changed, batch by batch."""

    def __init__(
        self,
        folders: Sequence[str | Path],
        library: Path,
        options: IndexOptions,
        *,
        poll_interval_s: float | None = None,
        quiet_s: float = QUIET_S,
    ) -> None:
        """Raise FolderError for a folder that is none; library: its changes are its own affair."""
        check_watchfiles_installed()
        for folder in filter(storage.is_url, folders):
            raise FolderError(f"{folder}: nothing tells of changes there; run index now and then")
        self.roots = [Path(root) for root in resolve_roots(folders)]
        self._library, self._options, self._poll_interval_s = library, options, poll_interval_s
        self._changed_paths: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._pending_changes, self._pending_retries = (
            PendingChanges(quiet_s),
            PendingChanges(quiet_s),
        )
        self._watched_folders: list[_WatchedFolder] = []

    def __enter__(self) -> Self:
        """Begin to watch: what changes from now on is noticed."""
        self._watched_folders = [
            _WatchedFolder(root, self._start_notifier(root), _read_identity(root))
            for root in self.roots
        ]
        for each in self._watched_folders:
            if each.notifier:
                each.notifier.wait_until_ready()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no more."""
        for each in self._watched_folders:
            if each.notifier:
                each.notifier.stop()

    def index_changes(self, index: IndexFunction) -> Iterator[WatchEvent]:
        """Index changes for ever, and tell of each batch. index: runs Library.index."""
        while True:
            self._collect_changes()
            for root in self._watched_folders:
                yield from self._check_folder(root)
                due = root.full_scan_at is not None and time.monotonic() >= root.full_scan_at
                if due and root.identity is not None:
                    yield from self._index_folder(index, root, None)
            changed, again = (
                self._pending_changes.take_due_paths(),
                self._pending_retries.take_due_paths(),
            )
            for root in self._watched_folders:
                for paths, retry in (
                    (_select_below(root, changed), False),
                    (_select_below(root, again), True),
                ):
                    if not paths or root.identity is None:
                        continue
                    if root.is_unavailable or len(paths) > MAX_BATCH_CHANGES:
                        root.full_scan_at = time.monotonic()
                    else:
                        yield from self._index_folder(index, root, paths, retry)

    def _start_notifier(self, root: Path) -> ChangeNotifier:
        poll_interval_s = self._poll_interval_s or (
            POLL_INTERVAL_S if is_network_folder(root) else None
        )
        return ChangeNotifier(root, self._changed_paths, poll_interval_s)

    def _collect_changes(self) -> None:
        """Note what has changed within a tick."""
        deadline = time.monotonic() + TICK_S
        paths = set[str]()
        while True:
            try:
                path = self._changed_paths.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if not Path(path).is_relative_to(self._library):
                paths.add(os.path.dirname(path) if Path(path).name == RULES else path)  # noqa: PTH120
        self._pending_changes.note_changes(paths)

    def _check_folder(self, root: _WatchedFolder) -> Iterator[WatchEvent]:
        """See whether a folder has gone, is another now (a mount), or is not told of any more."""
        identity = _read_identity(root.path)
        if identity != root.identity:
            if root.notifier:
                root.notifier.stop()
            root.identity, root.notifier = identity, None
            self._pending_changes.forget_below(root.path)
            if identity is None:
                if not root.is_unavailable:
                    root.is_unavailable = True
                    yield Away(str(root.path), "is not there any more")
                return
            root.notifier = self._start_notifier(root.path)
            root.notifier.wait_until_ready()
            root.full_scan_at = time.monotonic()
        if root.notifier and (error := root.notifier.error) is not None:
            seconds = self._poll_interval_s or POLL_INTERVAL_S
            if root.notifier.poll is None:
                yield Polling(str(root.path), seconds, str(error))
            root.notifier = ChangeNotifier(root.path, self._changed_paths, seconds)
            root.notifier.wait_until_ready()
            full_scan_at = time.monotonic() + (
                0 if root.notifier.error is None else UNAVAILABLE_RETRY_S
            )
            root.full_scan_at = min(full_scan_at, root.full_scan_at or full_scan_at)

    def _index_folder(
        self,
        index: IndexFunction,
        root: _WatchedFolder,
        paths: list[str] | None,
        retry: bool = False,
    ) -> Iterator[WatchEvent]:
        """Index a folder, or some paths in it; put them back where that does not work now."""
        only_paths = None if paths is None else tuple(paths)
        options = replace(self._options, only=only_paths, retry_failed=retry)
        failures, summary = list[Failure](), RunSummary()
        root.full_scan_at = root.full_scan_at if paths else None
        try:
            for event in index([root.path], options):
                match event:
                    case FileFailed(failure):
                        failures.append(failure)
                    case RunFinished(told):
                        summary = told
        except FolderError as error:
            root.full_scan_at = time.monotonic() + UNAVAILABLE_RETRY_S
            if not root.is_unavailable:
                root.is_unavailable = True
                yield Away(str(root.path), str(error).removeprefix(f"{root.path}: "))
            return
        except SearchAppError as error:
            delay_s = LOCKED_RETRY_S if isinstance(error, LockedError) else ERROR_RETRY_S
            if paths is None:
                root.full_scan_at = time.monotonic() + delay_s
            else:
                (self._pending_retries if retry else self._pending_changes).note_changes(
                    paths, delay_s
                )
            if root.last_error != str(error):
                root.last_error = str(error)
                yield Waiting(str(root.path), str(error))
            return
        root.last_error = ""
        if root.is_unavailable:
            root.is_unavailable = False
            yield Back(str(root.path))
        for path in {*(paths or ())} - {failure.path for failure in failures}:
            root.retry_count_by_path.pop(path, None)
        final_failures = self._schedule_retries(root, failures)
        counts = (summary.added, summary.moved, summary.removed, summary.kept, summary.failed)
        if any(counts):
            yield Batch(
                str(root.path), summary, final_failures, len(failures) - len(final_failures)
            )

    def _schedule_retries(
        self, root: _WatchedFolder, failures: list[Failure]
    ) -> tuple[Failure, ...]:
        """Return the failures that are not tried again: a young file may not be whole yet."""
        final_failures = []
        for failure in failures:
            tries = root.retry_count_by_path.get(failure.path, 0)
            if (
                tries < len(RETRY_DELAYS_S)
                and failure.stage in ("read", "decode")
                and _is_young(failure.path)
            ):
                root.retry_count_by_path[failure.path] = tries + 1
                self._pending_retries.note_changes([failure.path], RETRY_DELAYS_S[tries])
            else:
                final_failures.append(failure)
        return tuple(final_failures)


def _select_below(root: _WatchedFolder, paths: list[str]) -> list[str]:
    return [path for path in paths if Path(path).is_relative_to(root.path)]


def _read_identity(root: Path) -> tuple[int, int] | None:
    try:
        stat = root.stat()
        with os.scandir(root):
            return stat.st_dev, stat.st_ino
    except OSError:
        return None


def _is_young(path: str) -> bool:
    try:
        return time.time() - Path(path).stat().st_mtime < MAX_YOUNG_AGE_S
    except OSError:
        return False
