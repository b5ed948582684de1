"""How the catalogue's file is opened, where it can be written and where it cannot."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlite_utils import Database

BUSY_TIMEOUT_S = 30  # seconds for others that write
MIGRATION_BUSY_TIMEOUT_S = 3600  # seconds for one that brings the catalogue up to date


def connect(file: Path) -> sqlite3.Connection:
    """Connect to a catalogue, in autocommit mode; errors: sqlite3.Error.

    SQLite makes two files beside it even to read. Where nobody may make them, and none were left
    there, nobody writes either: there it is opened as a file that does not change.
    """
    if not os.access(file.parent, os.W_OK) and not _get_wal_path(file).exists():
        address = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
        return sqlite3.connect(address, uri=True, isolation_level=None)
    return sqlite3.connect(file, isolation_level=None, timeout=BUSY_TIMEOUT_S)


@contextmanager
def write_transaction(db: Database) -> Iterator[Database]:
    """Wrap what follows in one transaction, which may read before it writes.

    One that has begun to read cannot write once another connection has: this one is begun as the
    only writer, and waits for others.
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
    """Wait for others that write as long as it takes."""
    db.execute(f"pragma busy_timeout = {1000 * MIGRATION_BUSY_TIMEOUT_S}")
    try:
        yield
    finally:
        db.execute(f"pragma busy_timeout = {1000 * BUSY_TIMEOUT_S}")


def _get_wal_path(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")
