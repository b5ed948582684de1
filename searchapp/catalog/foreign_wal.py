"""Detect a write-ahead log (WAL) that SQLite would apply to the wrong catalog.

A killed process leaves catalog.db-wal. If a backup is then copied over catalog.db, SQLite applies
the old log to the backup, without an error: https://www.sqlite.org/howtocorrupt.html#_recovery
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from searchapp.errors import LibraryError

FileId: TypeAlias = tuple[int, int]  # device and inode
MAGIC = b"SQLite format 3\0"
READ_VERSION_OFFSET = 19  # of the file's header; 1: rollback journal, 2: WAL


def get_wal_files(file: Path) -> tuple[Path, Path]:
    """Return the paths of a catalog's log and of the index of the log."""
    return file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")


def has_foreign_wal(file: Path) -> bool:
    """Return whether the log next to a catalog belongs to another catalog.

    `searchapp backup` writes files that have no log: their header says so. A catalog in use always
    says in its header that it has a log, before SQLite creates the log.
    """
    with suppress(OSError):
        # First the log: another process can be opening a backup, which changes the header.
        has_log = get_wal_files(file)[0].stat().st_size > 0
        with file.open("rb") as stream:
            header = stream.read(READ_VERSION_OFFSET + 1)
        return has_log and header.startswith(MAGIC) and header[-1] == 1
    return False


def reject_foreign_wal(file: Path) -> None:
    """Raise LibraryError if the log next to a catalog belongs to another catalog."""
    if has_foreign_wal(file):
        log, log_index = get_wal_files(file)
        raise LibraryError(
            f"{file} is a copy of a backup, but {log.name} belongs to the catalog that was there "
            f"before. Restore the backup with `searchapp restore FILE`, or delete {log.name} and "
            f"{log_index.name}."
        )


class OpenFiles:
    """Counts the catalogs that this process has open.

    has_foreign_wal() must not read a catalog that this process has open: closing any descriptor of
    a file releases all locks of the process on it, also those of SQLite.
    https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
    """

    def __init__(self) -> None:
        self._counts: Counter[FileId] = Counter()
        self._lock = Lock()

    def has(self, file: Path) -> bool:
        """Return whether this process has a catalog open."""
        with suppress(OSError):
            return self._counts[_get_file_id(file)] > 0
        return False

    def add(self, file: Path) -> FileId | None:
        """Count a catalog as open, and return its id; None if the file does not exist yet.

        Raises LibraryError if the log next to the catalog belongs to another catalog.
        """
        with self._lock:
            try:
                file_id = _get_file_id(file)
            except OSError:
                return None
            if not self._counts[file_id]:
                reject_foreign_wal(file)
            self._counts[file_id] += 1
            return file_id

    def add_new(self, file: Path) -> FileId:
        """Count a catalog as open that did not exist when SQLite opened it."""
        with self._lock:
            file_id = _get_file_id(file)
            self._counts[file_id] += 1
            return file_id

    def remove(self, file_id: FileId | None) -> None:
        """Count a catalog as closed."""
        with self._lock:
            if file_id is not None:
                self._counts[file_id] -= 1


def _get_file_id(file: Path) -> FileId:
    status = file.stat()
    return status.st_dev, status.st_ino


OPEN_FILES = OpenFiles()
