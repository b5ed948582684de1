"""Watch folders and index their changes; retry failures, and report each problem once."""

from __future__ import annotations

import logging
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
from searchapp.files.ignore_rules import IGNORE_FILE_NAME
from searchapp.files.roots import resolve_roots
from searchapp.indexing.watch.changes import (
    TICK_S,
    ChangeNotifier,
    PendingChanges,
    check_watchfiles_installed,
    explain_unavailable,
    is_network_folder,
    read_root_identity,
)
from searchapp.indexing.watch.events import (
    BatchPostponed,
    ChangesIndexed,
    FolderAvailableAgain,
    FolderUnavailable,
    PollingStarted,
    WatchEvent,
)
from searchapp.types import Failure, FileFailed, IndexEvent, IndexOptions, RunFinished, RunSummary

logger = logging.getLogger(__name__)

QUIET_S = 2.0  # A file is considered complete after this many seconds without a change.
POLL_INTERVAL_S = 10.0  # between two scans of a folder without notifications
# If more paths change at once, the folder is scanned completely: notifications may be lost.
MAX_BATCH_CHANGES = 10_000
RETRY_DELAYS_S = (5.0, 30.0, 120.0)  # before each retry of a young file that failed
MAX_YOUNG_AGE_S = 300.0  # A file modified within this time may be incomplete.
LOCKED_RETRY_S, ERROR_RETRY_S, UNAVAILABLE_RETRY_S = 2.0, 30.0, 30.0  # before the next try

IndexFunction: TypeAlias = Callable[[list[Path], IndexOptions], Iterator[IndexEvent]]


@dataclass
class _WatchedFolder:
    """A watched folder, or a single file, and its state."""

    path: Path
    notifier: ChangeNotifier | None
    identity: tuple[int, int] | None  # device and inode; None: the folder is missing
    is_file: bool = False
    full_scan_at: float | None = None  # time of the next complete scan, by time.monotonic
    is_unavailable: bool = False  # FolderUnavailable was yielded.
    last_error: str = ""  # of the last BatchPostponed, which is not yielded twice
    retry_count_by_path: dict[str, int] = field(default_factory=dict)


class WatchSession:
    """Context manager that watches folders and indexes their changes batch by batch."""

    def __init__(
        self,
        folders: Sequence[str | Path],
        library: Path,
        options: IndexOptions,
        *,
        poll_interval_s: float | None = None,
        quiet_s: float = QUIET_S,
    ) -> None:
        """Check the folders; raises FolderError if one is missing or cannot be watched.

        library: the library's folder, whose own changes are ignored. poll_interval_s: see
        ChangeNotifier. quiet_s: seconds without a change, after which a file is indexed.
        """
        check_watchfiles_installed()
        for folder in filter(storage.is_url, folders):
            raise FolderError(
                f"{folder}: object stores and web servers do not report changes. Run "
                "`searchapp index` regularly instead."
            )
        self.roots = [Path(root) for root in resolve_roots(folders, allow_files=True)]
        self._library, self._options, self._poll_interval_s = library, options, poll_interval_s
        self._changed_paths: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._pending_changes = PendingChanges(quiet_s)
        self._pending_retries = PendingChanges(quiet_s)
        self._watched_folders: list[_WatchedFolder] = []

    def __enter__(self) -> Self:
        """Start watching the folders; return when changes are noticed."""
        self._watched_folders = [
            _WatchedFolder(
                root,
                self._start_notifier(root),
                read_root_identity(root, is_file=root.is_file()),
                is_file=root.is_file(),
            )
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
        """Stop watching the folders."""
        for each in self._watched_folders:
            if each.notifier:
                each.notifier.stop()

    def index_changes(self, index: IndexFunction) -> Iterator[WatchEvent]:
        """Index the folders' changes without end; yield an event for each batch of changes.

        index: the method Library.index.
        """
        while True:
            self._collect_changes()
            for root in self._watched_folders:
                yield from self._check_folder(root)
                is_due = root.full_scan_at is not None and time.monotonic() >= root.full_scan_at
                if is_due and root.identity is not None:
                    yield from self._index_folder(index, root, None)
            changed_paths = self._pending_changes.take_due_paths()
            retried_paths = self._pending_retries.take_due_paths()
            for root in self._watched_folders:
                for paths, is_retry in (
                    (_select_below(root, changed_paths), False),
                    (_select_below(root, retried_paths), True),
                ):
                    if not paths or root.identity is None:
                        continue
                    if root.is_unavailable or len(paths) > MAX_BATCH_CHANGES:
                        logger.info(
                            "Scanning the complete folder %s: %d of its paths changed",
                            root.path,
                            len(paths),
                        )
                        root.full_scan_at = time.monotonic()
                    else:
                        yield from self._index_folder(index, root, paths, is_retry)

    def _start_notifier(self, root: Path) -> ChangeNotifier:
        poll_interval_s = self._poll_interval_s or (
            POLL_INTERVAL_S if is_network_folder(root) else None
        )
        if poll_interval_s is not None:
            logger.info("Polling the folder %s every %g s", root, poll_interval_s)
        return ChangeNotifier(root, self._changed_paths, poll_interval_s)

    def _collect_changes(self) -> None:
        """Collect the paths that change within TICK_S seconds.

        If an ignore file changes, its folder counts as changed.
        """
        deadline = time.monotonic() + TICK_S
        paths = set[str]()
        while True:
            try:
                path = self._changed_paths.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if not Path(path).is_relative_to(self._library):
                paths.add(os.path.dirname(path) if Path(path).name == IGNORE_FILE_NAME else path)  # noqa: PTH120
        self._pending_changes.note_changes(paths)

    def _check_folder(self, root: _WatchedFolder) -> Iterator[WatchEvent]:
        """Handle a folder that is missing, was replaced by a mount, or is not watched any more."""
        identity = read_root_identity(root.path, is_file=root.is_file)
        if identity != root.identity:
            if root.notifier:
                root.notifier.stop()
            root.identity, root.notifier = identity, None
            self._pending_changes.forget_below(root.path)
            if identity is None:
                if not root.is_unavailable:
                    root.is_unavailable = True
                    yield FolderUnavailable(
                        str(root.path), explain_unavailable(root.path, is_file=root.is_file)
                    )
                return
            root.notifier = self._start_notifier(root.path)
            root.notifier.wait_until_ready()
            root.full_scan_at = time.monotonic()
        if root.notifier and (error := root.notifier.error) is not None:
            seconds = self._poll_interval_s or POLL_INTERVAL_S
            if root.notifier.poll_interval_s is None:
                yield PollingStarted(str(root.path), seconds, str(error))
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
        is_retry: bool = False,
    ) -> Iterator[WatchEvent]:
        """Index a complete folder or, if `paths` is given, only those paths.

        If indexing fails, schedule the same paths or the complete folder again.
        """
        only_paths = None if paths is None or root.is_file else tuple(paths)
        options = replace(self._options, only=only_paths, retry_failed=is_retry)
        failures, summary = list[Failure](), RunSummary()
        root.full_scan_at = root.full_scan_at if paths else None
        try:
            for event in index([root.path], options):
                match event:
                    case FileFailed(failure):
                        failures.append(failure)
                    case RunFinished(run_summary):
                        summary = run_summary
        except FolderError as error:
            root.full_scan_at = time.monotonic() + UNAVAILABLE_RETRY_S
            if not root.is_unavailable:
                root.is_unavailable = True
                yield FolderUnavailable(str(root.path), str(error).removeprefix(f"{root.path}: "))
            return
        except SearchAppError as error:
            delay_s = LOCKED_RETRY_S if isinstance(error, LockedError) else ERROR_RETRY_S
            if paths is None:
                root.full_scan_at = time.monotonic() + delay_s
            else:
                pending = self._pending_retries if is_retry else self._pending_changes
                pending.note_changes(paths, delay_s)
            if root.last_error != str(error):
                root.last_error = str(error)
                yield BatchPostponed(str(root.path), str(error))
            return
        root.last_error = ""
        if root.is_unavailable:
            root.is_unavailable = False
            yield FolderAvailableAgain(str(root.path))
        for path in {*(paths or ())} - {failure.path for failure in failures}:
            root.retry_count_by_path.pop(path, None)
        final_failures = self._schedule_retries(root, failures)
        if summary.has_changes:
            yield ChangesIndexed(
                str(root.path), summary, final_failures, len(failures) - len(final_failures)
            )

    def _schedule_retries(
        self, root: _WatchedFolder, failures: list[Failure]
    ) -> tuple[Failure, ...]:
        """Schedule a retry of each young file that failed; return the other failures.

        A young file was modified recently, and may be incomplete.
        """
        final_failures = []
        for failure in failures:
            tries = root.retry_count_by_path.get(failure.path, 0)
            if (
                tries < len(RETRY_DELAYS_S)
                and failure.stage in ("read", "decode")
                and _is_young(failure.path)
            ):
                delay_s = RETRY_DELAYS_S[tries]
                logger.info(
                    "Retrying the file %s in %g s: it may be incomplete", failure.path, delay_s
                )
                root.retry_count_by_path[failure.path] = tries + 1
                self._pending_retries.note_changes([failure.path], delay_s)
            else:
                final_failures.append(failure)
        return tuple(final_failures)


def _select_below(root: _WatchedFolder, paths: list[str]) -> list[str]:
    return [path for path in paths if Path(path).is_relative_to(root.path)]


def _is_young(path: str) -> bool:
    try:
        return time.time() - Path(path).stat().st_mtime < MAX_YOUNG_AGE_S
    except OSError:
        return False
