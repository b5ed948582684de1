"""Open the catalog's SQLite file, writable or read-only, and wrap transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

BUSY_TIMEOUT_S = 30  # maximum wait for another process that writes
MIGRATION_BUSY_TIMEOUT_S = 3600  # maximum wait for another process that upgrades the catalog


def connect(file: Path) -> sqlite3.Connection:
    """Connect to a catalog in autocommit mode. Raises sqlite3.Error.

    In WAL mode, SQLite creates two files next to the catalog even for reading. If the folder is
    read-only and has no WAL file, nobody can write, so the file is opened as immutable.
    https://www.sqlite.org/wal.html#read_only_databases
    """
    if not os.access(file.parent, os.W_OK) and not _get_wal_path(file).exists():
        address = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
        return sqlite3.connect(address, uri=True, isolation_level=None)
    return sqlite3.connect(file, isolation_level=None, timeout=BUSY_TIMEOUT_S)


@contextmanager
def write_transaction(db: Database) -> Iterator[Database]:
    """Run the with block in a write transaction; the block may read before it writes.

    A transaction that starts with a read fails at its first write if another connection wrote
    meanwhile. Therefore this transaction takes the write lock first ("begin immediate").
    """
    if db.conn.in_transaction:
        with db.atomic():
            yield db
        return
    db.execute("begin immediate")
    try:
        yield db
    except BaseException:
        db.conn.rollback()
        raise
    db.conn.commit()


@contextmanager
def wait_for_writers(db: Database) -> Iterator[None]:
    """In the with block, wait up to MIGRATION_BUSY_TIMEOUT_S for another process that writes."""
    db.execute(f"pragma busy_timeout = {1000 * MIGRATION_BUSY_TIMEOUT_S}")
    try:
        yield
    finally:
        db.execute(f"pragma busy_timeout = {1000 * BUSY_TIMEOUT_S}")


def _get_wal_path(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")
