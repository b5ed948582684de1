"""Check a backup of a catalog, and replace a catalog with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlite_utils import Database

from searchapp.catalog.foreign_wal import (
    OPEN_FILES,
    get_wal_files,
    has_foreign_wal,
    reject_foreign_wal,
)
from searchapp.catalog.maintenance import CatalogMaintenance
from searchapp.catalog.schema_upgrade import APPLICATION_ID, has_unknown_migrations
from searchapp.errors import LibraryError, LockedError
from searchapp.files.atomic import explain_disk_error, write_atomically
from searchapp.files.extras import upgrade_hint

# SQLite locks these bytes of a file, which need not exist, while it has the file open:
# https://www.sqlite.org/fileformat2.html#the_lock_byte_page
SHARED_LOCK_START, SHARED_LOCK_BYTES = 0x40000002, 510


@contextmanager
def open_backup(file: Path) -> Iterator[sqlite3.Connection]:
    """Check a backup, and open it read-only.

    Raises LibraryError if the file is missing, damaged, not a catalog, or of a newer version.
    """
    if not file.is_file():
        raise LibraryError(f"{file} is not a file. Name a file that `searchapp backup` wrote.")
    if not OPEN_FILES.has(file):
        reject_foreign_wal(file)
    # Without a log, nothing is written next to the backup, which can be on a read-only disk.
    options = "mode=ro" if get_wal_files(file)[0].exists() else "mode=ro&immutable=1"
    address = f"{file.absolute().as_uri()}?{options}"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as backup:
        try:
            _check_backup(backup, file)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CORRUPT:
                raise _make_damaged_error(file, str(error)) from error
            raise LibraryError(
                f"{file} cannot be read as a backup: {error}. Nothing was changed."
            ) from error
        yield backup


def _check_backup(backup: sqlite3.Connection, file: Path) -> None:
    if backup.execute("pragma application_id").fetchone() != (APPLICATION_ID,):
        raise LibraryError(f"{file} is not a backup of searchapp. Nothing was changed.")
    db = Database(backup)
    if has_unknown_migrations(db):
        raise LibraryError(
            f"The backup {file} was written by a newer version of searchapp. "
            f"Upgrade searchapp: {upgrade_hint()}"
        )
    if damage := CatalogMaintenance(db).check_integrity():
        raise _make_damaged_error(file, damage[0])


def _make_damaged_error(file: Path, damage: str) -> LibraryError:
    return LibraryError(
        f"The backup {file} is damaged ({damage}). Nothing was changed. Restore another backup."
    )


def replace_catalog(backup: sqlite3.Connection, file: Path) -> None:
    """Replace a catalog and its log with a backup; after a kill, the old or the new one is there.

    SQLite copies the backup over the catalog in one transaction. If SQLite cannot read the old
    catalog, its files are replaced.
    Raises LockedError if a process has the catalog open, and LibraryError if it is not a catalog of
    searchapp, or cannot be written.
    """
    try:
        if OPEN_FILES.has(file):
            raise _make_in_use_error(file)
        if file.exists() and not has_foreign_wal(file) and _copy_into(backup, file):
            return
        if file.exists() and _is_open(file):
            raise _make_in_use_error(file)
        _replace_files(backup, file)
    except (OSError, sqlite3.Error) as error:
        raise LibraryError(f"{file} cannot be written: {explain_disk_error(error)}") from error


def _copy_into(backup: sqlite3.Connection, file: Path) -> bool:
    """Copy a backup into a catalog in one transaction; return False if SQLite cannot do it."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=0)) as target:
        try:
            # Nobody else can open the catalog until the connection is closed.
            target.execute("pragma locking_mode = exclusive")
            target.execute("begin exclusive")
            (application_id,) = target.execute("pragma application_id").fetchone()
            (page_bytes,) = target.execute("pragma page_size").fetchone()
            (table_count,) = target.execute("select count(*) from sqlite_master").fetchone()
            target.execute("rollback")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise _make_in_use_error(file) from error
            raise
        except sqlite3.DatabaseError:  # damaged, or not a database
            return False
        if table_count and application_id != APPLICATION_ID:
            raise LibraryError(
                f"{file} is not a searchapp catalog. Choose another library folder with "
                "--library DIR."
            )
        if backup.execute("pragma page_size").fetchone() != (page_bytes,):
            return False
        backup.backup(target)
    return True


def _replace_files(backup: sqlite3.Connection, file: Path) -> None:
    with write_atomically(file) as temporary:
        with closing(sqlite3.connect(temporary)) as copy:
            backup.backup(copy)
            copy.execute("pragma journal_mode = delete")
        for log in get_wal_files(file):  # before the rename: SQLite would apply them to the backup
            log.unlink(missing_ok=True)


def _is_open(file: Path) -> bool:
    """Return whether another process has a catalog open, even if the catalog is damaged."""
    try:
        import fcntl
    except ImportError:  # Windows does not replace an open file.
        return False
    with file.open("r+b") as stream:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB, SHARED_LOCK_BYTES, SHARED_LOCK_START)
        except BlockingIOError:
            return True
    return False


def _make_in_use_error(file: Path) -> LockedError:
    return LockedError(
        f"the library at {file.parent} is in use by another process. Run `searchapp stop`, end "
        "other programs that use it, and restore again."
    )
